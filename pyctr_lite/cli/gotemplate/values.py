"""Go values from JSON, for the templates of `--format`."""

from __future__ import annotations

from pyctr_lite.cli.gotemplate import types
from pyctr_lite.cli.gotemplate.functions import NIL, Map, NilMap, NilSlice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAPS = set(
    "Annotations AuxiliaryAddresses Containers Data DriverOpts ExposedPorts Labels Networks Options PortBindings "
    "Ports Sysctls Tmpfs Volumes".split()
)
"""The keys in Docker's JSON whose objects are maps, not structs."""
SLICES = set(
    "Aliases Binds BlkioDeviceReadBps BlkioDeviceWriteBps CapAdd CapDrop Cmd DNSNames DeviceCgroupRules "
    "Entrypoint ExecIDs ExtraHosts GroupAdd Links OnBuild SecondaryIPAddresses SecondaryIPv6Addresses "
    "SecurityOpt".split()
)
"""The keys whose null is a nil slice."""
POINTERS = {"IPAMConfig", "Init", "MemorySwappiness", "OomKillDisable", "PidsLimit", "StopTimeout"}
"""The keys whose null is a nil pointer."""


def as_go(value: Any, maps: set[str] = MAPS, known: types.Fields | None = None) -> Any:
    """Convert a JSON value to Go's types, inferred from its keys: a `Map`, sorted as in Go, or a nil.

    `known` has the fields of the value's struct, including those that JSON leaves out.
    """
    if isinstance(value, dict):
        members = [(key, _member(key, item, maps, known)) for key, item in value.items()]
        return type(value)(members) if known is None else types.Struct(members, known)
    return [as_go(item, maps, known) for item in value] if isinstance(value, list) else value


def _member(key: str, value: Any, maps: set[str], known: types.Fields | None) -> Any:
    if value is None:
        return NilMap() if key in maps else NilSlice() if key in SLICES else NIL if key in POINTERS else None
    fields, many = types.inner(known, key)
    if key in maps and isinstance(value, dict):
        items = {name: as_go(item, maps, fields if many else None) for name, item in value.items()}
        return Map(sorted(items.items()))
    return as_go(value, maps, fields)
