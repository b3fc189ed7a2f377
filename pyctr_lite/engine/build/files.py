"""COPY, ADD and WORKDIR: layers without a process."""

from __future__ import annotations

import os
import posixpath
import stat
from functools import partial

from pyctr_lite import linux
from pyctr_lite.build import metadata
from pyctr_lite.build.patterns import Exclusions
from pyctr_lite.engine.build import archives, layers
from pyctr_lite.engine.build.copier import Copier, make_directories
from pyctr_lite.engine.build.operands import Operands
from pyctr_lite.engine.build.planned import Planned
from pyctr_lite.engine.bundle import accounts
from pyctr_lite.engine.creation import image_view
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number
from pyctr_lite.rootfs import target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.build.syntax import Instruction
    from pyctr_lite.build.tree import Tree
    from pyctr_lite.engine.build.download import Download
    from pyctr_lite.engine.build.progress import Step
    from pyctr_lite.engine.build.stage import StageBuilder


def plan_workdir(builder: StageBuilder, instruction: Instruction) -> Planned:
    """Apply WORKDIR. Its step makes the directory if it is missing: it belongs to the USER, as in BuildKit."""
    state = builder.state
    given = metadata.working_directory(state.config, state.scope.expand(instruction, instruction.args[0]))
    state.config["WorkingDir"] = given
    path = builder.working_directory()
    user = state.config.get("User") or ""
    title = f"WORKDIR {given}"

    def run(report: Step) -> str:
        owner = _owner(builder, user) if user else (0, 0)

        def make() -> str:
            lowers = builder.lowers()
            upper = layers.new_directory(builder.build.staging, lowers)
            with layers.opened(builder.build.home, builder.build.staging, lowers, upper) as root, linux.umask(0):
                try:
                    os.close(make_directories(root, path, owner))
                except NotADirectoryError:
                    raise InvalidArgument(f"cannot make the directory {path}: a file has its name") from None
            return upper

        return builder.layer(report, title, ["WORKDIR", path, list(owner)], make)

    return Planned(title, title, run)


def _owner(builder: StageBuilder, text: str) -> tuple[int, int]:
    """Return the ids of `USER[:GROUP]` by the accounts of the image. The group of a lone number is that number."""
    user, _, group = text.partition(":")
    if number.is_digits(user) and not group:
        return int(user), int(user)
    chain = layers.chain_id(builder.state.layers) or image_view.NO_LAYERS
    view = image_view.ImageView(builder.build.home.paths, chain, builder.lowers())
    found = accounts.resolve(text, [], view.passwd, view.group)
    return found["uid"], found["gid"]


def plan_copy(builder: StageBuilder, instruction: Instruction) -> Planned:
    """Check a COPY or ADD, and put its variables in. Raises InvalidArgument and DockerfileError."""
    operands = Operands(builder, instruction)
    downloads = _downloads(builder, operands) if operands.remote else []
    title = " ".join(instruction.original.split())

    def run(report: Step) -> str:
        return _copy(builder, operands, downloads, title, report)

    return Planned(title, operands.history(), run)


def _downloads(builder: StageBuilder, operands: Operands) -> list[Download]:
    from pyctr_lite.engine.build import download  # urllib3 takes 50 ms

    root = builder.build.home.paths.root
    return [download.Download(root, url, operands.checksum) for url in operands.remote]


def _copy(builder: StageBuilder, operands: Operands, downloads: list[Download], title: str, report: Step) -> str:
    build = builder.build
    with build.source(operands.origin) as tree:
        found = _sources(tree, operands)
        copied = [
            [
                "" if operands.parents else posixpath.basename(path),
                build.digest(operands.origin, tree, path, excluded),
            ]
            for path, excluded in found
        ]
        documents = [[document.name, text] for document, text in operands.documents]
        owner = _owner_of_copies(builder, operands)

        def parts() -> list[Any]:
            return [
                operands.name,
                [*copied, *(item.key for item in downloads), *documents],
                [operands.destination, operands.is_directory],
                list(owner) if owner else None,
                operands.chmod,
                [operands.link, operands.parents, operands.unpack, operands.patterns],
            ]

        is_known = builder.uses_cache and all(item.find() for item in downloads)
        if downloads and not (is_known and builder.is_cached(parts(), independent=operands.link)):
            for item in downloads:
                item.fetch(build.staging)

        def make() -> str:
            lowers = [] if operands.link else builder.lowers()
            upper = layers.new_directory(build.staging, lowers)
            with layers.opened(build.home, build.staging, lowers, upper) as root:
                work = _Work(operands, root, owner)
                work.check(len(found) + len(downloads) + len(operands.documents))
                for path, excluded in found:
                    work.copy(tree, path, excluded)
                for item in downloads:
                    work.place(item.name, item.visit)
                for document, text in operands.documents:
                    work.place(document.name, partial(_write, text.encode()))
            return upper

        return builder.layer(report, title, parts(), make, independent=operands.link)


def _owner_of_copies(builder: StageBuilder, operands: Operands) -> tuple[int, int] | None:
    """Return the owner of --chown by the accounts of the image, (0, 0) for files of the context, else None."""
    if not operands.chown:
        return None if operands.origin else (0, 0)
    return _owner(builder, operands.chown)


def _sources(tree: Tree, operands: Operands) -> list[tuple[str, Exclusions | None]]:
    """Return the paths of the sources in a tree, each with the patterns of what is not copied.

    With --parents a source is a pattern for everything below the directory before `/./` in it, or below the root.
    """
    excluded = Exclusions(operands.patterns) if operands.patterns else None
    if not operands.parents:
        paths = [path for source in operands.local for path in tree.find(source)]
        return [(path, excluded) for path in paths if not (excluded and _is_excluded(tree, path, excluded))]
    found: list[tuple[str, Exclusions | None]] = []
    for source in operands.local:
        above, pivot, below = source.partition("/./")
        pattern = posixpath.normpath(posixpath.join("/", below if pivot else source)).lstrip("/")
        tree.find(source)  # without wildcards, it must exist
        only = Exclusions(["**", f"!{pattern or '**'}", *operands.patterns])
        found += [(path, only) for path in tree.find(above if pivot else "/") if tree.is_directory(path)]
    return found


def _is_excluded(tree: Tree, path: str, excluded: Exclusions) -> bool:
    """Return whether --exclude leaves out a source that is a file: a directory is filtered inside."""
    return not tree.is_directory(path) and excluded.excludes(posixpath.basename(path))


def _write(data: bytes, copier: Copier) -> None:
    copier.write(data, 0o644)


class _Work:
    """A copy into the root of a step."""

    def __init__(
        self,
        operands: Operands,
        root: int,
        owner: tuple[int, int] | None,
    ) -> None:
        self.operands, self.root, self.owner, self.mode = operands, root, owner, operands.mode
        self.into_directory = operands.is_directory or operands.parents or self._is_directory(operands.destination)

    def check(self, count: int) -> None:
        """Raise InvalidArgument if several sources would become one file."""
        if count > 1 and not self.into_directory:
            name = self.operands.name
            raise InvalidArgument(
                f"When using {name} with more than one source file, the destination must be a directory and end "
                "with a /"
            )

    def copy(self, tree: Tree, path: str, excluded: Exclusions | None) -> None:
        """Copy one source: the contents of a directory, or a file; of ADD, the contents of an archive."""
        if tree.is_directory(path):
            self._copy_contents(tree, path, excluded)
        elif not (self.operands.unpack and self._unpacked(tree, path)):
            self.place(posixpath.basename(path), lambda copier: tree.visit(path, copier))

    def _copy_contents(self, tree: Tree, path: str, excluded: Exclusions | None) -> None:
        destination = self.operands.destination
        with Copier(self._directory(destination), destination, "", self.owner, self.mode) as copier:
            tree.visit(path, copier, excluded)

    def place(self, name: str, copy: Callable[[Copier], None]) -> None:
        """Copy one file to the destination, with links followed, or under its own name into that directory."""
        if self.into_directory:
            parent = self.operands.destination
        else:
            parent, name = posixpath.split(target.follow(self.root, self.operands.destination))
        self._place(parent, name, copy)

    def _place(self, parent: str, name: str, copy: Callable[[Copier], None]) -> None:
        with Copier(self._directory(parent), parent, name, self.owner, self.mode) as copier:
            copy(copier)

    def _directory(self, path: str) -> int:
        with linux.umask(0):
            try:
                return make_directories(self.root, path, self.owner or (0, 0), self.operands.directory_mode)
            except NotADirectoryError:
                raise InvalidArgument(f"cannot copy to non-directory: {path}") from None

    def _unpacked(self, tree: Tree, path: str) -> bool:
        """Unpack a source of ADD into the destination, and return whether it is an archive."""
        fd = target.open_in_root(tree.root, path, os.O_RDONLY | os.O_NONBLOCK)
        with open(fd, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode) or not archives.is_archive(file):
                return False
            with linux.closing(self._directory(self.operands.destination)) as directory:
                owner = self.owner if self.operands.chown else None
                archives.unpack(file, self.root, directory, self.operands.destination, owner)
        return True

    def _is_directory(self, path: str) -> bool:
        try:
            fd = target.open_in_root(self.root, path, os.O_PATH | os.O_DIRECTORY)
        except OSError:
            return False
        os.close(fd)
        return True
