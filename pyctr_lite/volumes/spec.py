"""Mount specifications: `-v`, `--mount` and `--tmpfs` in Docker's grammar, parsed to the same class."""

from __future__ import annotations

import os

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.volumes import fields, names, tmpfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")

# Options in the third part of -v, with their kinds: one option of each kind is allowed.
_MODES = {
    "ro": "access", "rw": "access", "z": "label", "Z": "label", "nocopy": "copy", "idmap": "ids",
    "consistent": "consistency", "cached": "consistency", "delegated": "consistency",
    **dict.fromkeys(PROPAGATIONS, "propagation"),
}  # fmt: skip


class MountSpec:
    """A mount requested for a container. `source` is "" for an anonymous volume and for a tmpfs."""

    __slots__ = (
        "create_source",  # bind: make a missing host directory (-v), or fail (--mount)
        "idmap",  # bind: in a user namespace its files keep their ids on disk, like those of a volume
        "labels",  # volume: labels of a new volume
        "nocopy",  # volume: leave it empty on first use
        "options",  # tmpfs: its mount options, as in OCI's config.json
        "propagation",  # bind: one of PROPAGATIONS
        "readonly",
        "readonly_recursive",  # bind: if readonly, the mounts below are read-only too
        "recursive",  # bind: include the mounts below
        "source",
        "subpath",  # volume: only this directory of it
        "target",
        "tmpfs_mode",  # permission bits; None for the file system's default (1777)
        "tmpfs_size",  # bytes; None for the file system's default (half of the memory)
        "type",  # "bind", "volume" or "tmpfs"
        "volume_options",  # volume: the local driver's options of a new volume
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
    """Parse `-v [SOURCE:]TARGET[:OPTIONS]`; a source that begins with a slash or dot is a path, others are names.

    A path that begins with a dot is relative to the working directory. A path is bound, and made if it is missing;
    a name is that of a volume. Without a source the volume is anonymous.
    Raises InvalidArgument with Docker's message: "invalid spec: TEXT: empty section between colons", "invalid
    spec: TEXT: too many colons", and for options without a source "invalid volume specification: 'TEXT'". A path
    that contains a colon needs --mount.
    """
    if not text:
        raise InvalidArgument("invalid empty volume spec")
    parts = text.split(":")
    if "" in parts:
        raise InvalidArgument(f"invalid spec: {text}: empty section between colons")
    if len(parts) > 3:
        raise InvalidArgument(
            f"invalid spec: {text}: too many colons",
            "For a path with a colon, use --mount type=bind,source=…,target=…",
        )
    source, target = (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])
    if len(parts) == 2 and are_modes(target):
        raise InvalidArgument(
            f"invalid volume specification: '{text}'",
            "Anonymous volumes take no options: add a source, or use --mount.",
        )
    if source.startswith("."):
        source = os.path.abspath(source)
    spec = MountSpec("bind" if source.startswith("/") else "volume", source, target)
    spec.create_source = spec.type == "bind"
    finish_volume(spec, text, parts[2] if len(parts) == 3 else "")
    return spec


def parse_mount(text: str) -> MountSpec:
    """Parse `--mount type=bind|volume|tmpfs,source=…,target=…[,…]`; the default type is volume.

    Raises InvalidArgument with Docker's message.
    """
    text = text.strip()
    if not text:
        raise InvalidArgument("value is empty")
    spec = MountSpec("volume")
    options = [fields.set_field(spec, field) for field in fields.split_fields(text)]
    for option in options:
        family = option.partition("-")[0]
        if "-" in option and family != spec.type:
            raise InvalidArgument(f"cannot mix '{family}-*' options with mount type '{spec.type}'")
    if "bind-recursive=writable" in options and not spec.readonly:
        raise InvalidArgument(
            "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction"
        )
    if "bind-recursive=readonly" in options:
        if not spec.readonly:
            raise InvalidArgument(
                "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction"
            )
        if "bind-propagation" not in options or spec.propagation != "rprivate":
            raise InvalidArgument(
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' "
                "to be specified in conjunction"
            )
    _check(spec)
    if spec.type == "tmpfs":
        _set_tmpfs_options(spec)
    return spec


def parse_tmpfs(text: str) -> MountSpec:
    """Parse `--tmpfs TARGET[:OPTIONS]`; options of mount(8) override Docker's noexec, nosuid, nodev."""
    target, _, options = text.partition(":")
    spec = MountSpec("tmpfs", "", target)
    _check(spec)
    spec.options = tmpfs.merge_options(tmpfs.DEFAULTS + (options.split(",") if options else []))
    spec.readonly = "ro" in spec.options
    return spec


def check_duplicates(specs: Iterable[MountSpec]) -> None:
    """Raise InvalidArgument if two mounts have the same target."""
    targets = set()
    for spec in specs:
        if spec.target in targets:
            raise InvalidArgument(f"Duplicate mount point: {spec.target}")
        targets.add(spec.target)


# --- -v ---------------------------------------------------------------------------------------------------


def are_modes(text: str) -> bool:
    """Return whether a part of -v is a list of options such as `ro,rslave`, at most one of each kind."""
    kinds = [_MODES.get(word) for word in text.split(",")]
    return None not in kinds and len(set(kinds)) == len(kinds)


def finish_volume(spec: MountSpec, text: str, modes: str) -> None:
    """Apply the options of a -v (`modes`, or "" for none), then check the spec and normalize its paths.

    Raises InvalidArgument with Docker's message, which quotes the whole `text`.
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
            raise _invalid(spec, "field BindOptions must not be specified")
        if kind == "copy" and spec.type != "volume":
            raise _invalid(spec, "field VolumeOptions must not be specified")
        if kind == "propagation":
            spec.propagation = word
        spec.readonly = spec.readonly or word == "ro"
        spec.nocopy = spec.nocopy or word == "nocopy"
        spec.idmap = spec.idmap or word == "idmap"


# --- --mount ----------------------------------------------------------------------------------------------


def _set_tmpfs_options(spec: MountSpec) -> None:
    """Set the mount options of a tmpfs. A mode or size of 0 means the default of tmpfs, as in Docker."""
    options = list(tmpfs.DEFAULTS)
    if spec.readonly:
        options.append("ro")
    if spec.tmpfs_mode:
        options.append(f"mode={spec.tmpfs_mode:o}")
    if spec.tmpfs_size:
        options.append(f"size={spec.tmpfs_size}")
    spec.options = options


# --- rules for all mounts ----------------------------------------------------------------------------------------


def _check(spec: MountSpec) -> None:
    """Check a spec as Docker does, and normalize its paths."""
    if spec.type not in ("bind", "volume", "tmpfs"):
        raise _invalid(spec, "mount type unknown", "Types are bind, volume and tmpfs.")
    if not spec.target:
        raise _invalid(spec, "field Target must not be empty")
    if _clean(spec.target) in ("/", "."):
        raise _invalid(spec, "invalid specification: destination can't be '/'")
    _check_absolute(spec, spec.target)
    spec.target = _clean(spec.target)
    if spec.type == "bind":
        if not spec.source:
            raise _invalid(spec, "field Source must not be empty")
        if spec.propagation not in PROPAGATIONS:
            raise _invalid(
                spec, f"invalid propagation mode: {spec.propagation}", f"One of {', '.join(PROPAGATIONS)}."
            )
        _check_absolute(spec, spec.source)
        spec.source = _clean(spec.source)
    elif spec.type == "tmpfs" and spec.source:
        raise _invalid(spec, "field Source must not be specified")
    elif spec.type == "volume":
        if spec.source:
            names.check_name(spec.source)
        elif spec.subpath:
            raise _invalid(spec, "must not set Subpath when using anonymous volumes")
        if spec.subpath and (spec.subpath.startswith("/") or _clean(spec.subpath).split("/")[0] == ".."):
            raise _invalid(spec, "subpath must be a relative path within the volume")


def _check_absolute(spec: MountSpec, path: str) -> None:
    if not path.startswith("/"):
        raise _invalid(spec, f"invalid mount path: '{path}' mount path must be absolute")


def _clean(path: str) -> str:
    """Normalize a path like Go's path.Clean: without `.`, `..` and doubled slashes."""
    cleaned = os.path.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def _invalid(spec: MountSpec, reason: str, hint: str = "") -> InvalidArgument:
    return InvalidArgument(f'invalid mount config for type "{spec.type}": {reason}', hint)
