"""The mounts of a RUN: where their content comes from, and what is left of them afterwards: nothing.

A bind shows a directory of the context or of another stage; a writable one shows a copy, which is thrown away. A
cache is a directory that builds share. A secret is a file in a tmpfs that exists as long as the RUN does; it is in
no layer, and neither its content nor a digest of it is in a key of the cache. As a variable it is in the memory of
the build, the container's monitor and its program, and in no file. Mount points that the image lacks are made in a
directory below the container's changes (`stubs`), so they do not become a part of the layer.
"""

from __future__ import annotations

import fcntl
import os
import posixpath
import stat
from contextlib import ExitStack

from pyctr_lite import jsonfile, linux
from pyctr_lite.build import tree as trees
from pyctr_lite.digest import sha256
from pyctr_lite.engine.build import layers
from pyctr_lite.engine.build.copier import Copier
from pyctr_lite.errors import InvalidArgument, NotFound, PyctrError
from pyctr_lite.rootfs import target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.build.mounts import Mount
    from pyctr_lite.build.syntax import Instruction
    from pyctr_lite.build.tree import Tree
    from pyctr_lite.engine.build.stage import StageBuilder
    from pyctr_lite.engine.build.values import Secret

_MAX_SECRET = 500 << 10
"""Bytes, as in BuildKit."""
_TITLE = "title.json"
"""The file beside a cache mount that describes it."""
_SYSTEM = ("/dev", "/proc", "/sys")
"""Directories on which the runtime mounts file systems of its own."""


def text(source: str, path: str, *, readonly: bool = False) -> str:
    """Return a bind mount in the grammar of --mount. A field with a comma or a quote is quoted."""
    fields = ["type=bind", f"target={path}", f"source={source}"]
    if readonly:
        fields.append("readonly")
    quoted = ('"' + field.replace('"', '""') + '"' if set(field) & {",", '"'} else field for field in fields)
    return ",".join(quoted)


class Prepared:
    """A mount of one RUN. `target` is its path in the container, `environment` are the variables it adds.

    `agents` is the number of mounts of the type ssh before it: the first one sets SSH_AUTH_SOCK.
    """

    def __init__(self, builder: StageBuilder, instruction: Instruction, mount: Mount, agents: int) -> None:
        self.builder, self.mount, self._agents = builder, mount, agents
        self.target = posixpath.normpath(posixpath.join(builder.working_directory(), mount.target))
        if mount.type == "ssh" and not mount.target:
            self.target = f"/run/buildkit/ssh_agent.{agents}"
        elif not mount.target:
            self.target = ""
        if self.target == "/":
            raise InvalidArgument('invalid mount target "/"')
        self._origin = builder.build.origin(instruction, mount.origin, builder.stage)
        self.environment: dict[str, str] = {}
        self.is_directory, self.is_tmpfs = mount.type not in ("secret", "ssh"), mount.type == "tmpfs"

    def key(self) -> list[Any]:
        """Return what the result of the RUN depends on."""
        mount = self.mount
        shown = [mount.type, self.target, mount.readonly]
        if mount.type != "bind":
            return [*shown, mount.id, mount.env, mount.size, mount.uid, mount.gid, mount.mode]
        with self._tree() as tree:
            return [*shown, self.builder.build.digest(self._origin, tree, self._path())]

    def _tree(self) -> Any:
        return self.builder.build.source(self._origin)

    def _path(self) -> str:
        return posixpath.normpath("/" + self.mount.source).lstrip("/")

    def argument(self, stack: ExitStack) -> str:
        """Prepare the mount until `stack` ends, and return its text for the container; "" if it is left out.

        The text is in the grammar of --mount; that of a tmpfs is in the grammar of --tmpfs.
        """
        kind = self.mount.type
        if self.is_tmpfs:
            return self._tmpfs()
        if kind == "cache":
            return text(self._cache(stack), self.target, readonly=self.mount.readonly)
        if kind == "secret":
            return self._secret(stack)
        if kind == "ssh":
            return self._agent(stack)
        source = self._bound(stack)
        self.is_directory = os.path.isdir(source)
        return text(source, self.target, readonly=self.mount.readonly)

    def _tmpfs(self) -> str:
        """Return the text of a tmpfs. As in BuildKit, programs in it can be executed."""
        options = ["ro" if self.mount.readonly else "rw", "exec", "dev"]
        if self.mount.size:
            options.append(f"size={self.mount.size}")
        return f"{self.target}:{','.join(options)}"

    def _bound(self, stack: ExitStack) -> str:
        """Return the path to bind: in the context, in a mounted stage, or of a copy."""
        build, mount = self.builder.build, self.mount
        if not mount.readonly or (not mount.origin and build.context.tree.exclusions):
            with self._tree() as tree:
                return self._copied(tree)
        if self._origin is not None:
            lowers = layers.directories(build.home, self._origin.layers)
            top = stack.enter_context(build.session.mounted(lowers))
            root = stack.enter_context(linux.closing(_open(top)))
        else:
            root = build.context.tree.root
        try:
            fd = target.open_in_root(root, self._path())
        except OSError as error:
            raise trees.not_found(self._path(), error) from None
        with linux.closing(fd):
            return os.readlink(f"/proc/self/fd/{fd}")  # without links, which the runtime would follow

    def _copied(self, tree: Tree) -> str:
        """Return the path of a copy of the source."""
        path, staging = self._path(), self.builder.build.staging
        directory = layers.new_directory(staging)
        with Copier(_open(directory), "", "file", None if tree.keeps_owners else (0, 0), None) as copier:
            tree.visit(path, copier)
        return directory if tree.is_directory(path) else f"{directory}/file"

    def _cache(self, stack: ExitStack) -> str:
        """Return the directory of a cache mount, locked as its `sharing` says until `stack` ends."""
        mount = self.mount
        top = cache_mounts(self.builder.build.home.paths.root)
        id = mount.id or self.target
        name = sha256(id.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        number = 0
        while True:
            path = f"{top}/{name}" + (f"-{number}" if number else "")
            os.makedirs(path, 0o700, exist_ok=True)
            lock = stack.enter_context(linux.closing(_open(path)))
            operation = fcntl.LOCK_SH if mount.sharing == "shared" else fcntl.LOCK_EX
            try:
                fcntl.flock(lock, operation | (fcntl.LOCK_NB if mount.sharing == "private" else 0))
                break
            except BlockingIOError:
                number += 1
        os.utime(path)
        if not os.path.exists(f"{path}/{_TITLE}"):
            jsonfile.write(f"{path}/{_TITLE}", f"cache mount {id}")
        data = f"{path}/data"
        if not os.path.isdir(data):
            self._fill_cache(data)
        return data

    def _fill_cache(self, data: str) -> None:
        """Make the directory of a new cache, with the files of `from`."""
        mount = self.mount
        filled = f"{data}.{os.getpid()}"
        if mount.origin:
            with self._tree() as tree:
                os.rename(self._copied(tree), filled)
        else:
            os.mkdir(filled)
        os.chown(filled, mount.uid, mount.gid)
        os.chmod(filled, 0o755 if mount.mode < 0 else mount.mode)
        try:
            os.rename(filled, data)
        except OSError:
            os.rmdir(filled)  # another build was first

    def _secret(self, stack: ExitStack) -> str:
        mount, build = self.mount, self.builder.build
        secret = build.secrets.get(mount.id)
        if secret is None:
            if mount.required:
                raise NotFound(f"secret {mount.id}: not found", f"give --secret id={mount.id},src=FILE")
            return ""
        content = _read_secret(mount.id, secret)
        if mount.env:
            try:
                self.environment[mount.env] = content.decode()
            except UnicodeDecodeError:
                raise InvalidArgument(f"secret {mount.id}: it is not text, so it cannot be a variable") from None
            if b"\0" in content:
                raise InvalidArgument(f"secret {mount.id}: it contains a zero byte, so it cannot be a variable")
        if not self.target:
            return ""
        path = f"{stack.enter_context(build.session.memory())}/secret"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            os.fchown(fd, mount.uid, mount.gid)
            os.fchmod(fd, 0o400 if mount.mode < 0 else mount.mode)
            file.write(content)
        return text(path, self.target, readonly=True)

    def _agent(self, stack: ExitStack) -> str:
        from pyctr_lite.engine.build import agent  # few builds need sockets and selectors

        mount = self.mount
        socket = self.builder.build.agents.get(mount.id)
        if socket is None:
            if mount.required:
                raise NotFound(f"ssh agent {mount.id}: not found", f"give --ssh {mount.id}")
            return ""
        if not os.path.exists(socket):
            raise NotFound(f"ssh agent {mount.id}: {socket} does not exist")
        if not self._agents:
            self.environment["SSH_AUTH_SOCK"] = self.target
        build, mode = self.builder.build, 0o600 if mount.mode < 0 else mount.mode
        directory = stack.enter_context(build.session.memory())
        paths, owner = build.home.paths, (mount.uid, mount.gid)
        return text(
            stack.enter_context(agent.forwarded(paths, directory, os.path.realpath(socket), owner, mode)),
            self.target,
        )


def check_sources(secrets: dict[str, Secret], agents: dict[str, str]) -> None:
    """Check the files of --secret and the sockets of --ssh, used or not, as Docker does. Raises NotFound."""
    for id, secret in secrets.items():
        if secret.file:
            try:
                status = os.stat(secret.file)
            except OSError as error:
                raise NotFound(f"secret {id}: {secret.file}: {error.strerror}") from None
            if stat.S_ISDIR(status.st_mode):
                raise InvalidArgument(f"secret {id}: {secret.file} is a directory")
            if status.st_size > _MAX_SECRET:
                raise InvalidArgument(f"secret {id}: more than {_MAX_SECRET} bytes")
    for id, socket in agents.items():
        if not os.path.exists(socket):
            raise NotFound(f"ssh agent {id}: {socket} does not exist")


def cache_mounts(root: str) -> str:
    """Return the directory of the cache mounts of a state directory."""
    return f"{root}/build/mounts"


def title(path: str) -> str:
    """Return the title of the cache mount in a directory, for `builder du`."""
    try:
        found = jsonfile.read(f"{path}/{_TITLE}")
    except (FileNotFoundError, ValueError):
        return "cache mount"
    return found if isinstance(found, str) else "cache mount"


def stubs(builder: StageBuilder, mounts: list[Prepared]) -> list[str]:
    """Make the mount points that the image lacks in a directory of their own, and return it, if it is needed."""
    build, lowers = builder.build, builder.lowers()
    wanted = [it for it in mounts if not it.target.startswith(_SYSTEM)]
    if not wanted:
        return []
    upper = layers.new_directory(build.staging, lowers)
    with layers.opened(build.home, build.staging, lowers, upper) as root:
        for item in wanted:
            try:
                if item.is_tmpfs:  # the runtime gives it the mode of the mount point
                    os.close(target.make_directory(root, item.target, 0o1777))
                else:
                    os.close(target.make_mountpoint(root, item.target, directory=item.is_directory))
            except OSError as error:
                raise PyctrError(f"cannot mount on {item.target}: {error.strerror}") from None
    if lowers:
        layers.like_below(upper, lowers[0])
    return [upper] if os.listdir(upper) else []


def _open(directory: str) -> int:
    return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _read_secret(id: str, secret: Secret) -> bytes:
    if secret.env:
        value = os.environ.get(secret.env)
        if value is None:
            raise NotFound(f"secret {id}: the variable {secret.env} is not set")
        return value.encode("utf-8", "surrogateescape")
    try:
        with open(secret.file, "rb") as file:
            content = file.read(_MAX_SECRET + 1)
    except OSError as error:
        raise NotFound(f"secret {id}: {secret.file}: {error.strerror}") from None
    if len(content) > _MAX_SECRET:
        raise InvalidArgument(f"secret {id}: more than {_MAX_SECRET} bytes")
    return content
