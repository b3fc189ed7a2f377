"""The build context: a directory, or a tar stream that is unpacked first; the Dockerfile, and .dockerignore."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import closing, contextmanager

from pyctr_lite import linux
from pyctr_lite.build import checksum, remembered, syntax
from pyctr_lite.build.patterns import Exclusions
from pyctr_lite.build.tree import Tree
from pyctr_lite.digest import sha256
from pyctr_lite.engine.build import git
from pyctr_lite.engine.files import tree_unpack
from pyctr_lite.errors import BrokenArchive, InvalidArgument, NotFound
from pyctr_lite.formats import number
from pyctr_lite.images import compression
from pyctr_lite.rootfs import target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctr_lite.engine.home import Home
    from pyctr_lite.images.staging import Staging
    from pyctr_lite.rootfs.tar import Readable

STDIN = "-"
_DEFAULT = "Dockerfile"
_REMOTE = ("http://", "https://")


class Context:
    """The context: its Tree, the Dockerfile's text and name, and the directory of the tables of its digests.

    A context that is unpacked for one build has no tables: `tables` is "".
    """

    def __init__(self, tree: Tree, dockerfile: str, name: str, tables: str, staging: Staging) -> None:
        self.tree, self.dockerfile, self.name = tree, dockerfile, name
        self._tables, self._staging = tables, staging

    def digest(self, path: str, excluded: Exclusions | None = None) -> str:
        """Return the digest of a source in the context, in hex. Raises NotFound and InvalidArgument."""
        if not self._tables:
            return checksum.of_source(self.tree, path, excluded, None)
        context = os.readlink(f"/proc/self/fd/{self.tree.root}")
        name = sha256(os.fsencode(f"{context}\0{path}")).hexdigest()
        table = remembered.Table(f"{self._tables}/{name}", self._staging.new_path)
        with closing(table):
            return checksum.of_source(self.tree, path, excluded, table)


@contextmanager
def opened(home: Home, staging: Staging, context: str, dockerfile: str) -> Iterator[Context]:
    """Open a context. Raises NotFound and InvalidArgument with Docker's messages."""
    if context == STDIN and dockerfile == STDIN:
        raise InvalidArgument("invalid argument: can't use stdin for both build context and dockerfile")
    if git.is_url(context):
        with _of_repository(context, dockerfile, staging) as found:
            yield found
        return
    if context.startswith(_REMOTE):
        from pyctr_lite.registries import addresses

        shown, _ = addresses.split_user(context)
        raise InvalidArgument(
            f"{shown}: a context from a URL is not supported unless it is a git repository",
            "download it, and give its directory",
        )
    text: str | None = None
    if context == STDIN:
        context, text = _unpack_stdin(staging)
        tables = ""
    else:
        if not os.path.isdir(context):
            raise NotFound(f'unable to prepare context: path "{context}" not found')
        tables = f"{home.paths.root}/build/contexts"
    with linux.closing(os.open(context, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as root:
        name = _DEFAULT if dockerfile in ("", STDIN) else dockerfile
        ignored = ""
        if text is None and dockerfile == STDIN:
            text = _text(sys.stdin.buffer.read(syntax.MAX_SIZE + 1), "stdin")
        elif text is None:
            text, ignored = _read_dockerfile(root, context, dockerfile, streamed=not tables)
        exclusions = Exclusions((ignored or _read(root, ".dockerignore")).splitlines())
        tree = Tree(root, exclusions, keeps_owners=False)
        yield Context(tree, text, os.path.basename(name), tables, staging)


@contextmanager
def _of_repository(url: str, dockerfile: str, staging: Staging) -> Iterator[Context]:
    """Open a git repository as a context. The Dockerfile is in it, too: a link does not lead out."""
    path, below = git.fetch(url, staging)
    name = _DEFAULT if dockerfile in ("", STDIN) else dockerfile
    with _directory_in(path, below) as root:
        if dockerfile == STDIN:
            text = _text(sys.stdin.buffer.read(syntax.MAX_SIZE + 1), "stdin")
        else:
            text = _read(root, name)
        if not text:
            raise _missing(name)
        ignored = _read(root, f"{name}.dockerignore") or _read(root, ".dockerignore")
        tree = Tree(root, Exclusions(ignored.splitlines()), keeps_owners=False)
        yield Context(tree, text, os.path.basename(name), "", staging)


def _unpack_stdin(staging: Staging) -> tuple[str, str | None]:
    """Unpack a tar stream from stdin, and return the directory. Other text is a Dockerfile: return it, too."""
    stream = sys.stdin.buffer
    path = staging.new_path()
    os.mkdir(path, 0o700)
    peeked, kind = compression.peek(stream)
    if not kind:
        start = _fill(peeked.start, stream, 512)
        if not is_tar(start):
            return path, _text(start + stream.read(syntax.MAX_SIZE + 1 - len(start)), "stdin")
        peeked = compression.Peeked(stream, start)
    with (
        linux.closing(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as fd,
        compression.open_decompressed(peeked) as plain,
    ):
        tree_unpack.Unpacker(fd, path, owner=(0, 0)).unpack(plain)
    return path, None


def _fill(start: bytes, stream: Readable, size: int) -> bytes:
    while len(start) < size and (more := stream.read(size - len(start))):
        start += more
    return start


def is_tar(block: bytes) -> bool:
    """Return whether a block of 512 bytes is the header of an archive: it has the sum of its bytes."""
    digits = block[148:156].strip(b" \0").decode("latin-1")
    if len(block) < 512 or not number.is_octal(digits, 0o777777):
        return False
    return sum(block[:512]) - sum(block[148:156]) + 8 * ord(" ") == int(digits, 8)


def _read_dockerfile(root: int, context: str, given: str, *, streamed: bool) -> tuple[str, str]:
    """Return the texts of the Dockerfile and of its own .dockerignore.

    What -f names may be outside of the context, unless it is an archive. What is found in it does not lead out.
    """
    if streamed or not given or not os.path.exists(given):
        return _read_dockerfile_in(root, "" if streamed else context, given)
    try:
        with open(given, "rb") as file:
            text = _text(file.read(syntax.MAX_SIZE + 1), given)
    except IsADirectoryError:
        raise InvalidArgument(f"failed to read dockerfile: {given} is a directory") from None
    try:
        fd = os.open(f"{given}.dockerignore", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            return text, _text(file.read(syntax.MAX_SIZE + 1) or b"", f"{given}.dockerignore") or "#"
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InvalidArgument(f"{given}.dockerignore is a symbolic link, which is not followed") from None
        return text, ""


def _read_dockerfile_in(root: int, context: str, given: str) -> tuple[str, str]:
    """Return the texts of the Dockerfile in a context that may be untrusted, and of its own .dockerignore."""
    name = given or (_DEFAULT if target.exists(root, _DEFAULT) else _DEFAULT.lower())
    path = os.path.join(context, name)
    try:
        fd = target.open_in_root(root, name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(given or _DEFAULT) from None
    with linux.closing(fd):
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            kind = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
            raise InvalidArgument(f"failed to read dockerfile: {path} is {kind}")
        with open(fd, "rb", closefd=False) as file:
            text = _text(file.read(syntax.MAX_SIZE + 1), path)
    own = f"{name}.dockerignore"
    return text, (_read(root, own) or "#") if target.exists(root, own) else ""


def _missing(name: str) -> NotFound:
    return NotFound(
        f"failed to read dockerfile: open {name}: no such file or directory", "give another one with -f"
    )


@contextmanager
def _directory_in(path: str, below: str) -> Iterator[int]:
    """Open a directory in an untrusted one, and yield its descriptor. Raises NotFound."""
    with linux.closing(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as top:
        try:
            fd = target.open_in_root(top, below, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            raise NotFound(f"{below}: no such directory in the repository") from None
        with linux.closing(fd):
            yield fd


def _read(root: int, name: str) -> str:
    return target.read_text(root, name, syntax.MAX_SIZE).removeprefix("\ufeff")


def _text(data: bytes, name: str) -> str:
    if len(data) > syntax.MAX_SIZE:
        raise InvalidArgument(f"{name}: more than {syntax.MAX_SIZE} bytes")
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise BrokenArchive(f"{name}: neither a tar archive nor UTF-8 text") from None
