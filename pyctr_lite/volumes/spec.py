"""What `-v`, `--mount` and `--tmpfs` ask for, in Docker's grammar, as one kind of value."""

from __future__ import annotations

import os

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.volumes import fields, names, tmpfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")

# The kinds of -v's third part; of each kind one word is allowed.
_MODES = {
    "ro": "access", "rw": "access", "z": "label", "Z": "label", "nocopy": "copy", "idmap": "ids",
    "consistent": "consistency", "cached": "consistency", "delegated": "consistency",
    **dict.fromkeys(PROPAGATIONS, "propagation"),
}  # fmt: skip


class MountSpec:
    """One mount that a container asks for. `source` is "" for an anonymous volume and for a tmpfs."""

    __slots__ = (
        "create_source",  # bind: make a missing host directory (-v), or fail (--mount)
        "idmap",  # bind: in a user namespace its files keep the ids that they have on disk, as a volume's do
        "labels",  # volume: for one that is made now
        "nocopy",  # volume: leave it empty on first use
        "options",  # tmpfs: all its mount options, as OCI's config.json has them
        "propagation",  # bind: one of PROPAGATIONS
        "readonly",
        "readonly_recursive",  # bind: the mounts below are read-only too, where readonly is set
        "recursive",  # bind: take the mounts below along
        "source",
        "subpath",  # volume: only this directory of it
        "target",
        "tmpfs_mode",  # permission bits, or None: the file system's default (1777)
        "tmpfs_size",  # bytes, or None: the file system's default (half of the memory)
        "type",  # "bind", "volume" or "tmpfs"
        "volume_options",  # volume: the local driver's options, for one that is made now
    )

    def __init__(self, type: str, source: str = "", target: str = "") -> None:
        self.type, self.source, self.target = type, source, target
        self.readonly = False
        self.propagation = "rprivate"
        self.recursive = True
        self.readonly_recursive = True
        self.create_source = False
        self.idmap = False
        self.nocopy = False
        self.subpath = ""
        self.labels: dict[str, str] = {}
        self.volume_options: dict[str, str] = {}
        self.tmpfs_size: int | None = None
        self.tmpfs_mode: int | None = None
        self.options: list[str] = []

    def __repr__(self) -> str:
        access = "ro" if self.readonly else "rw"
        return f"MountSpec({self.type!r}, {self.source!r}, {self.target!r}, {access})"


def parse_volume(text: str) -> MountSpec:
    """Parse `-v [SOURCE:]TARGET[:OPTIONS]`: a source with a slash or dot at its start is a path, else a name.

    Fails with InvalidArgument in Docker's words. A path with a colon can only be written with --mount.
    """
    if not text:
        raise InvalidArgument("invalid empty volume spec")
    parts = text.split(":")
    if "" in parts:
        raise InvalidArgument(f"invalid spec: {text}: empty section between colons")
    if len(parts) > 3:
        raise InvalidArgument(
            f"invalid spec: {text}: too many colons",
            "A path with a colon needs --mount type=bind,source=…,target=…",
        )
    source, target = (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])
    if len(parts) == 2 and are_modes(target):
        raise InvalidArgument(
            f"invalid volume specification: '{text}'",
            "An anonymous volume takes no options: give a source, or --mount.",
        )
    if source.startswith("."):
        source = os.path.abspath(source)
    spec = MountSpec("bind" if source.startswith("/") else "volume", source, target)
    spec.create_source = spec.type == "bind"
    finish_volume(spec, text, parts[2] if len(parts) == 3 else "")
    return spec


def parse_mount(text: str) -> MountSpec:
    """Parse `--mount type=bind|volume|tmpfs,source=…,target=…[,…]`; the type is volume where none is given.

    Fails with InvalidArgument in Docker's words.
    """
    text = text.strip()
    if not text:
        raise InvalidArgument("value is empty")
    spec = MountSpec("volume")
    used = [fields.set_field(spec, field) for field in fields.split_fields(text)]
    for option in used:
        family = option.partition("-")[0]
        if "-" in option and family != spec.type:
            raise InvalidArgument(f"cannot mix '{family}-*' options with mount type '{spec.type}'")
    if "bind-recursive=writable" in used and not spec.readonly:
        raise InvalidArgument(
            "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction"
        )
    if "bind-recursive=readonly" in used:
        if not spec.readonly:
            raise InvalidArgument(
                "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction"
            )
        if "bind-propagation" not in used or spec.propagation != "rprivate":
            raise InvalidArgument(
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' "
                "to be specified in conjunction"
            )
    _check(spec)
    if spec.type == "tmpfs":
        _set_tmpfs_options(spec)
    return spec


def parse_tmpfs(text: str) -> MountSpec:
    """Parse `--tmpfs TARGET[:OPTIONS]`: OPTIONS are mount(8)'s, over Docker's noexec, nosuid, nodev."""
    target, _, options = text.partition(":")
    spec = MountSpec("tmpfs", "", target)
    _check(spec)
    spec.options = tmpfs.merge_options(tmpfs.DEFAULTS + (options.split(",") if options else []))
    spec.readonly = "ro" in spec.options
    return spec


def check_duplicates(specs: Iterable[MountSpec]) -> None:
    """Fail with InvalidArgument where two mounts have one target."""
    targets = set()
    for spec in specs:
        if spec.target in targets:
            raise InvalidArgument(f"Duplicate mount point: {spec.target}")
        targets.add(spec.target)


# --- -v ---------------------------------------------------------------------------------------------------


def are_modes(text: str) -> bool:
    """Whether a part of -v is its options: known words like `ro,rslave`, of each kind at most one."""
    kinds = [_MODES.get(word) for word in text.split(",")]
    return None not in kinds and len(set(kinds)) == len(kinds)


def finish_volume(spec: MountSpec, text: str, modes: str) -> None:
    """Set the options of a -v ("" where it has none), check all of it, and clean its paths up.

    Fails with InvalidArgument, which tells `text`, the whole of it.
    """
    try:
        if modes:
            _set_modes(spec, modes)
        _check(spec)
    except InvalidArgument as error:
        if error.message.startswith("invalid mount config"):
            raise InvalidArgument(f"invalid volume specification: '{text}': {error.message}", error.hint) from None
        raise


def _set_modes(spec: MountSpec, text: str) -> None:
    if not are_modes(text):
        raise InvalidArgument(
            f"invalid mode: {text}", "Options are ro, rw, nocopy, idmap, z, Z and a propagation like rslave."
        )
    for word in text.split(","):
        kind = _MODES[word]
        if kind == "propagation" and spec.type != "bind":
            raise _bad(spec, "field BindOptions must not be specified")
        if kind == "copy" and spec.type != "volume":
            raise _bad(spec, "field VolumeOptions must not be specified")
        if kind == "propagation":
            spec.propagation = word
        spec.readonly = spec.readonly or word == "ro"
        spec.nocopy = spec.nocopy or word == "nocopy"
        spec.idmap = spec.idmap or word == "idmap"


# --- --mount ----------------------------------------------------------------------------------------------


def _set_tmpfs_options(spec: MountSpec) -> None:
    """A mode or size of 0 is none, as in Docker: tmpfs's own default."""
    options = list(tmpfs.DEFAULTS)
    if spec.readonly:
        options.append("ro")
    if spec.tmpfs_mode:
        options.append(f"mode={spec.tmpfs_mode:o}")
    if spec.tmpfs_size:
        options.append(f"size={spec.tmpfs_size}")
    spec.options = options


# --- rules for all ----------------------------------------------------------------------------------------


def _check(spec: MountSpec) -> None:
    """Check what Docker checks for every mount, and clean the paths up."""
    if spec.type not in ("bind", "volume", "tmpfs"):
        raise _bad(spec, "mount type unknown", "Types are bind, volume and tmpfs.")
    if not spec.target:
        raise _bad(spec, "field Target must not be empty")
    if _clean(spec.target) in ("/", "."):
        raise _bad(spec, "invalid specification: destination can't be '/'")
    _check_absolute(spec, spec.target)
    spec.target = _clean(spec.target)
    if spec.type == "bind":
        if not spec.source:
            raise _bad(spec, "field Source must not be empty")
        if spec.propagation not in PROPAGATIONS:
            raise _bad(spec, f"invalid propagation mode: {spec.propagation}", f"One of {', '.join(PROPAGATIONS)}.")
        _check_absolute(spec, spec.source)
        spec.source = _clean(spec.source)
    elif spec.type == "tmpfs" and spec.source:
        raise _bad(spec, "field Source must not be specified")
    elif spec.type == "volume":
        if spec.source:
            names.check_name(spec.source)
        elif spec.subpath:
            raise _bad(spec, "must not set Subpath when using anonymous volumes")
        if spec.subpath and (spec.subpath.startswith("/") or _clean(spec.subpath).split("/")[0] == ".."):
            raise _bad(spec, "subpath must be a relative path within the volume")


def _check_absolute(spec: MountSpec, path: str) -> None:
    if not path.startswith("/"):
        raise _bad(spec, f"invalid mount path: '{path}' mount path must be absolute")


def _clean(path: str) -> str:
    """The path without `.`, `..` and doubled slashes, as Go's path.Clean gives it."""
    cleaned = os.path.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def _bad(spec: MountSpec, reason: str, hint: str = "") -> InvalidArgument:
    return InvalidArgument(f'invalid mount config for type "{spec.type}": {reason}', hint)
