"""The matrix of `cp`: sources × destinations × spellings of both, in either direction.

Each case has its own directory with one destination of each kind, on the host or in the container. So all cases
can be set up at once, and their results listed at once.
"""

from __future__ import annotations

import io
import itertools
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

TREE: list[tuple[str, str, str]] = [
    ("d", "dir", ""),
    ("d/x", "file", "old x"),
    ("f", "file", "old f"),
    ("to-file", "link", "f"),
    ("to-dir", "link", "d"),
    ("to-to-file", "link", "d/../to-file"),
    ("absolute", "link", "/cases/far"),
    ("up", "link", "../../../../../../cases/far/new"),
    ("dangling", "link", "not-made-yet"),
    ("dangling-deep", "link", "no/such/dir"),
    ("loop", "link", "loop"),
    ("pipe", "fifo", ""),
]
"""The content of the directory of each case."""

SOURCE: list[tuple[str, str, str]] = [
    ("s", "file", "new s"),
    ("sd", "dir", ""),
    ("sd/x", "file", "new x"),
    ("sd/sub", "dir", ""),
    ("sd/sub/y", "file", "new y"),
    ("sd/link", "link", "x"),
    ("to-s", "link", "s"),
    ("to-sd", "link", "sd"),
    ("broken", "link", "nowhere"),
]

SOURCES = ["s", "s/", "sd", "sd/", "sd/.", "to-s", "to-sd", "to-sd/", "to-sd/.", "broken", "missing"]
DESTINATIONS = [
    *("", "d", "d/", "d/.", "f", "f/", "to-file", "to-dir", "to-dir/", "to-to-file", "absolute", "up"),
    *("dangling", "dangling/", "dangling-deep", "loop", "pipe", "new", "new/", "no/such", "f/below"),
]
FLAGS: list[tuple[str, ...]] = [(), ("-L",), ("-a",)]


def cases(part: int) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield the flags, source and destination of cases; -L if there is a link to follow, -a for some.

    Yields every fourth case, from `part` on; all of them with PYCTR_MATRIX=full.
    """
    everything = list(_cases())
    yield from everything if os.environ.get("PYCTR_MATRIX") == "full" else everything[part::4]


def _cases() -> Iterator[tuple[tuple[str, ...], str, str]]:
    for flags, source, destination in itertools.product(FLAGS, SOURCES, DESTINATIONS):
        if "-L" in flags and not source.startswith(("to-", "broken")):
            continue
        if "-a" in flags and not (source in ("s", "sd", "sd/.") and destination in ("d", "new", "f")):
            continue
        yield flags, source, destination


def difference(direction: str, flags: tuple[str, ...], source: str, destination: str) -> str:
    """Return the reason why our result differs from Docker's on purpose in a case; "" if it does not."""
    checked_first = direction == "out" and destination in ("f/", "f/below", "loop", "no/such")
    if "-L" in flags and source == "broken" and not checked_first:
        return "we name the given path, Docker the link's target"
    if direction == "into" and destination == "loop" and source not in ("s/", "missing"):
        return "Docker replaces a circular link, we refuse it"
    if direction == "out" and source.endswith("sd/.") and destination == "to-dir/":
        return "Docker 20.10 unpacks at the link, and fails"
    return ""


def make(top: Path, tree: list[tuple[str, str, str]]) -> None:
    """Create a tree on the host, owned by 12:34."""
    top.mkdir(parents=True)
    for name, kind, content in tree:
        path = top / name
        if kind == "dir":
            path.mkdir()
        elif kind == "file":
            path.write_text(content)
        elif kind == "link":
            path.symlink_to(content)
        else:
            os.mkfifo(path)
        os.chown(path, 12, 34, follow_symlinks=False)


def archive(trees: dict[str, list[tuple[str, str, str]]]) -> bytes:
    """Return a tar stream of trees, given by the names of their directories."""
    kinds = {"dir": tarfile.DIRTYPE, "file": tarfile.REGTYPE, "link": tarfile.SYMTYPE, "fifo": tarfile.FIFOTYPE}
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for top, tree in trees.items():
            for name, kind, content in [("", "dir", ""), *tree]:
                member = tarfile.TarInfo(f"{top}/{name}".rstrip("/"))
                member.type, member.mode, member.uid, member.gid = kinds[kind], 0o755, 12, 34
                if kind == "link":
                    member.linkname = content
                if kind == "file":
                    member.size = len(content)
                tar.addfile(member, io.BytesIO(content.encode()))
    return output.getvalue()


def listing(data: bytes) -> dict[str, list[str]]:
    """List a tar stream of all cases: for each case, lines of name, kind, mode, owner and content."""
    found: dict[str, list[str]] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            _, number, name = [*member.name.split("/", 2), "", ""][:3]
            content = member.linkname
            if member.isfile():
                content = tar.extractfile(member).read().decode()  # type: ignore[union-attr]
            owner = f"{member.uid}:{member.gid}"
            found.setdefault(number, []).append(
                f"{name} {member.type!r} {member.mode & 0o7777:o} {owner} {content}"
            )
    return {number: sorted(lines) for number, lines in found.items()}


def listing_of(top: Path) -> list[str]:
    """List a directory of the host in the same form."""
    lines = []
    for directory, names, files in os.walk(top):
        for name in names + files:
            path = Path(directory, name)
            status = path.lstat()
            content = ""
            if path.is_symlink():
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = path.read_text()
            mode = f"{stat.S_IFMT(status.st_mode):o} {stat.S_IMODE(status.st_mode):o}"
            lines.append(f"{path.relative_to(top)} {mode} {status.st_uid}:{status.st_gid} {content}")
    return sorted(lines)
