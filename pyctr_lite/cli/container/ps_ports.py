"""The column PORTS of `ps`, in the form of Docker's client (cli/command/formatter, DisplayablePorts)."""

from __future__ import annotations

from pyctr_lite.networks import published

TYPE_CHECKING = False
if TYPE_CHECKING:
    Row = tuple[int, str, int, str]


def shown(ports: dict[str, list[dict[str, str]] | None]) -> str:
    """Return the ports of a container as `ps` shows them.

    Neighbours are shown as a range if they are exposed only, or published with the same numbers.
    """
    groups: dict[tuple[str, str], tuple[int, int]] = {}
    found, mappings = [], []
    for inner, host, outer, protocol in sorted(_rows(ports)):
        if host and outer != inner:
            mappings.append(f"{published.shown(host, str(outer))}->{inner}/{protocol}")
            continue
        first, last = groups.get((host, protocol), (inner, inner))
        if inner > last + 1:
            found.append(_group(host, protocol, first, last))
            first = inner
        groups[host, protocol] = first, inner
    found += [_group(*key, *numbers) for key, numbers in groups.items()]
    return ", ".join([*found, *mappings])


def _rows(ports: dict[str, list[dict[str, str]] | None]) -> list[Row]:
    """Return each port: the container's, the address and port of this machine ("" and 0: none), the protocol."""
    from pyctr_lite.formats import number

    found: list[Row] = []
    for name, rows in ports.items():
        text, _, protocol = name.partition("/")
        inner = number.whole(text)
        found += [(inner, row["HostIp"], number.whole(row["HostPort"]), protocol) for row in rows or ()]
        if not rows:
            found.append((inner, "", 0, protocol))
    return found


def _group(host: str, protocol: str, first: int, last: int) -> str:
    text = str(first) if first == last else f"{first}-{last}"
    return f"{published.shown(host, text)}->{text}/{protocol}" if host else f"{text}/{protocol}"
