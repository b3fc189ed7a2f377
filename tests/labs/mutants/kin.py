"""What is taken for another: names, operators, constants and calls that people confuse."""

from __future__ import annotations

import ast


class Octal(int):
    """A number that was written in octal digits, as modes are."""

    def __repr__(self) -> str:
        return oct(self)


COMPARISONS = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}

BINARY = {
    ast.BitOr: (ast.BitXor, ast.Add),
    ast.BitAnd: (ast.BitOr,),
    ast.BitXor: (ast.BitOr,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.FloorDiv,),
    ast.FloorDiv: (ast.Div, ast.Mult),
    ast.Div: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
}

MODES = {
    0o755: (0o777, 0o700, 0o644),
    0o700: (0o755,),
    0o644: (0o666, 0o600),
    0o600: (0o644, 0o666, 0o700),
    0o022: (0, 0o077),
    0o777: (0o7777, 0o755),
}

TEXTS = {
    "": ["x"],
    ".": ["/", ".."],
    "..": ["."],
    "/": ["."],
    ":": [",", "::"],
    ",": [":", ", "],
    " ": ["", "\n"],
}

_NAMES = """
stat: lstat
lstat: stat
exists: lexists isdir isfile
lexists: exists
isdir: exists
S_ISDIR: S_ISREG
S_ISCHR: S_ISBLK
st_uid: st_gid
st_gid: st_uid
st_ino: st_dev
st_mtime_ns: st_ctime_ns st_atime_ns
makedirs: mkdir
abspath: realpath normpath
MS_PRIVATE: MS_SLAVE
MS_SLAVE: MS_PRIVATE
MNT_DETACH: MNT_FORCE
AT_RECURSIVE: AT_EMPTY_PATH
RESOLVE_IN_ROOT: RESOLVE_BENEATH
RESOLVE_NO_MAGICLINKS: RESOLVE_NO_SYMLINKS RESOLVE_NO_XDEV
LOCK_EX: LOCK_SH
O_RDONLY: O_WRONLY O_PATH
O_WRONLY: O_RDONLY
O_PATH: O_RDONLY
EPERM: EACCES EINVAL
EBUSY: ENOTEMPTY EACCES
ENOTEMPTY: EBUSY
OSError: ValueError FileNotFoundError
FileNotFoundError: OSError FileExistsError
FileExistsError: OSError FileNotFoundError
ProcessLookupError: OSError PermissionError
NotADirectoryError: OSError
TimeoutError: OSError
KeyError: ValueError
ValueError: KeyError
InvalidArgument: ValueError
BrokenArchive: ValueError
startswith: endswith
endswith: startswith
strip: lstrip rstrip
lstrip: strip removeprefix
rstrip: strip removesuffix
removeprefix: lstrip
removesuffix: rstrip
partition: rpartition
rpartition: partition
any: all
all: any
min: max
max: min
deepcopy: copy
append: extend
read: write
proc: name
memory: memory_swap
memory_swap: memory
cpu_quota: cpu_period
cpu_period: cpu_quota
uids: gids
gids: uids
upper: lower
source: target
target: source
PREFIX: OPAQUE_NAME
OPAQUE_NAME: PREFIX
METADATA_PREFIX: PREFIX
REGULAR: DIRECTORY
DIRECTORY: REGULAR
"""
NAMES = {name: others.split() for name, others in (line.split(":") for line in _NAMES.split("\n") if line)}
"""By the last name of an attribute, or by a plain name."""

DOTTED = {
    "os._exit": ["sys.exit"],
    "os.fsencode": ["str.encode"],
}
"""By the whole text."""

WRAPPERS = {"sorted", "reversed", "list", "tuple", "set", "dict", "str", "int", "bytes", "min", "max"} | {
    *("deepcopy", "copy", "abspath", "escape", "fsencode", "fsdecode", "S_IMODE", "bool", "bytearray"),
}
"""Calls that can be left out: the first argument stands for itself."""

METHODS = {
    "strip",
    "lstrip",
    "rstrip",
    "removeprefix",
    "removesuffix",
    "split",
    "splitlines",
    "encode",
    "decode",
} | {
    *("lower", "upper", "copy"),
}
"""Methods that can be left out: what they are called on stands for itself."""

CALLS = {
    "startswith": ["X in OF", "OF == X"],
    "split": ["OF.split(X, 1)", "OF.split(X, 2)", "OF.split()", "OF.rsplit(X, 1)"],
    "get": ["OF[X]"],
    "S_IMODE": ["X & 0o777"],
    "pop": ["OF[X]", "OF.pop(0)"],
    "join": ["OF.join(sorted(X))"],
    "escape": ["str(X)"],
    "fsencode": ["X.encode()", "X.encode('latin-1', 'replace')"],
    "listdir": ["[name for name in os.listdir(X) if not name.startswith('.')]"],
    "sorted": ["sorted(X, reverse=True)", "sorted(X, key=len)"],
    "lstat": ["os.stat(X)"],
    "rmdir": ["shutil.rmtree(X)"],
    "min": ["max(X, Y)"],
}
"""By a call's last name, in the terms of its arguments X, Y, Z and of what it is a method OF."""
