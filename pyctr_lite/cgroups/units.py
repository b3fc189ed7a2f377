"""Properties of systemd units: names of slices, limits as properties, and properties given by annotations."""

from __future__ import annotations

from pyctr_lite.cgroups import devices as device_rules
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Property = tuple[str, tuple[str, Any]]

INFINITY = (1 << 64) - 1
"""systemd's "no limit"."""

ANNOTATION = "org.systemd.property."
"""Prefix of annotations that are properties, such as org.systemd.property.TimeoutStopUSec: "uint64 1000000"."""

_SIZES = {
    "memory.high": "MemoryHigh",
    "memory.limit_in_bytes": "MemoryLimit",
    "memory.low": "MemoryLow",
    "memory.max": "MemoryMax",
    "memory.min": "MemoryMin",
    "memory.swap.max": "MemorySwapMax",
    "pids.max": "TasksMax",
}
_NUMBERS = {
    "blkio.bfq.weight": "BlockIOWeight",
    "cpu.shares": "CPUShares",
    "cpu.weight": "CPUWeight",
}
_MASKS = {"cpuset.cpus": "AllowedCPUs", "cpuset.mems": "AllowedMemoryNodes"}


def expand_slice(name: str) -> str:
    """Return the path of a slice: "a-b.slice" is below "a.slice", so "/a.slice/a-b.slice".

    Raises InvalidArgument if it is not the name of a slice. Source: systemd.slice(5).
    """
    stem = name.removesuffix(".slice")
    if name == "-.slice":
        return ""
    parts = stem.split("-")
    if stem == name or not all(parts) or "/" in stem:
        raise InvalidArgument(f"invalid slice name: {name}", "it looks like machine.slice or a-b.slice")
    return "".join(f"/{'-'.join(parts[: count + 1])}.slice" for count in range(len(parts)))


def from_files(files: list[tuple[str, str, str]]) -> list[Property]:
    """Return the properties for limits as files of either version. Files that systemd does not know are left out.

    A later file overrides an earlier one, as in the kernel: `unified` comes last.
    """
    found: dict[str, Property] = {}
    for _, file, text in files:
        for name, value in _property(file, text.strip()):
            found[name] = (name, value)
    _, (_, quota) = found.pop("quota", ("", ("", None)))
    _, (_, period) = found.get("CPUQuotaPeriodUSec", ("", ("", None)))
    if quota or period:
        found["CPUQuotaPerSecUSec"] = ("CPUQuotaPerSecUSec", ("t", _per_second(quota or -1, period or 100_000)))
    return list(found.values())


def from_devices(rules: list[dict[str, Any]]) -> list[Property]:
    """Return the properties for device rules: all devices, or a list of the allowed ones. Nothing without rules.

    systemd cannot except a device from a rule that allows it, nor allow one minor number of every major number:
    such rules are only in what the group itself enforces.
    """
    lines = device_rules.lines(rules)
    start = max((index for index, (_, line) in enumerate(lines) if line.startswith("a ")), default=-1)
    if not rules:
        return []
    empty: Property = ("DeviceAllow", ("a(ss)", []))
    if start < 0 or lines[start][0]:
        return [empty, ("DevicePolicy", ("s", "auto"))]
    allowed = [path for allow, line in lines[start + 1 :] if allow and (path := _device(line))]
    return [empty, ("DevicePolicy", ("s", "strict")), ("DeviceAllow", ("a(ss)", allowed))]


def from_annotations(annotations: dict[str, str]) -> list[Property]:
    """Return the properties in annotations. A name in …Sec becomes …USec, the value microseconds, as in runc.

    Raises InvalidArgument for a name that is not of letters, or a value that is not in GVariant's text form.
    """
    found = []
    for key, text in annotations.items():
        if not key.startswith(ANNOTATION):
            continue
        name = key.removeprefix(ANNOTATION)
        if len(name) < 3 or not (name.isascii() and name.isalpha()):
            raise InvalidArgument(f"annotation {key}: {name!r} is not the name of a property")
        try:
            kind, value = parse_variant(text)
            if name.endswith("Sec") and name[-4:-3].islower():
                name, kind, value = f"{name[:-3]}USec", "t", int(value * 1_000_000)
        except (ValueError, TypeError):
            raise InvalidArgument(
                f"annotation {key}: {text!r} is not a value", "for example 'text', true, uint64 5 or ['a', 'b']"
            ) from None
        found.append((name, (kind, value)))
    return found


_TYPES = {"byte": "y", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u", "int64": "x", "uint64": "t"}


def parse_variant(text: str) -> tuple[str, Any]:
    """Parse a value in GVariant's text form: a boolean, number, string, or list of these.

    Returns its D-Bus type and the value. Raises ValueError. Source: "GVariant Text Format" of GLib.
    """
    text = text.strip()
    word, _, rest = text.partition(" ")
    if text in ("true", "false"):
        return "b", text == "true"
    if word in _TYPES:
        return _TYPES[word], int(rest, 0)
    if word in ("double", "objectpath", "signature"):
        return ("d", float(rest)) if word == "double" else (word[0], _string(rest))
    if text[:1] == "@":
        kind, value = parse_variant(rest)
        return (word[1:], []) if kind == "as" and not value else (word[1:], value)
    if text[:1] in ("'", '"'):
        return "s", _string(text)
    if text[:1] == "[" and text[-1:] == "]":
        items = [parse_variant(item) for item in _items(text[1:-1])]
        kinds = {kind for kind, _ in items[:1]} or {"s"}
        if items and any(kind != items[0][0] and kind != "i" for kind, _ in items):
            raise ValueError(text)
        return f"a{kinds.pop()}", [value for _, value in items]
    return ("d", float(text)) if "." in text else ("i", int(text, 0))


def _string(text: str) -> str:
    text = text.strip()
    if len(text) < 2 or text[0] not in "'\"" or text[-1] != text[0]:
        raise ValueError(text)
    inner = text[1:-1]
    if text[0] in inner.replace("\\\\", "").replace("\\" + text[0], ""):
        raise ValueError(text)
    return inner.replace("\\" + text[0], text[0]).replace("\\\\", "\\")


def _items(text: str) -> list[str]:
    """Split a list's text at the commas outside quotes."""
    items, quote, start = [], "", 0
    for index, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote and text[index - 1] != "\\" else quote
        elif letter in "'\"":
            quote = letter
        elif letter == ",":
            items.append(text[start:index])
            start = index + 1
    items.append(text[start:])
    return items if text.strip() else []


def _property(file: str, text: str) -> list[tuple[str, tuple[str, Any]]]:
    if file in _SIZES:
        return [(_SIZES[file], ("t", INFINITY if text in ("max", "-1") else max(int(text), file == "pids.max")))]
    if file in _NUMBERS:
        return [(_NUMBERS[file], ("t", int(text)))]
    if file in _MASKS:
        return [(_MASKS[file], ("ay", mask(text)))]
    if file == "cpu.idle" and text == "1":
        return [("CPUWeight", ("t", 0))]  # systemd's way to say idle, since version 252
    if file == "cpu.max":
        quota, _, period = text.partition(" ")
        number = -1 if quota == "max" else int(quota)
        return [("quota", ("", number)), ("CPUQuotaPeriodUSec", ("t", int(period or 100_000)))]
    if file == "cpu.cfs_period_us":
        return [("CPUQuotaPeriodUSec", ("t", int(text)))]
    if file == "cpu.cfs_quota_us":
        return [("quota", ("", int(text)))]
    return []


def _per_second(quota: int, period: int) -> int:
    """Return µs of CPU time per second, rounded up to whole percents, as systemd rounds."""
    if quota <= 0:
        return INFINITY
    return -(-quota * 1_000_000 // period // 10_000) * 10_000


def mask(text: str) -> list[int]:
    """Convert a list such as "0-3,5" to the bytes of a bit mask, the lowest first."""
    bits = 0
    for part in text.split(","):
        first, _, last = part.partition("-")
        for number in range(int(first), int(last or first) + 1):
            bits |= 1 << number
    return list(bits.to_bytes((bits.bit_length() + 7) // 8, "little"))


def _device(line: str) -> tuple[str, str] | None:
    """Return (path, access) for systemd's DeviceAllow; None for a rule that it cannot express."""
    kind, numbers, access = line.split()
    word = {"b": "block", "c": "char"}[kind]
    major, minor = numbers.split(":")
    if minor != "*":
        return None if major == "*" else (f"/dev/{word}/{numbers}", access)
    return f"{word}-{major}", access
