"""The files of /etc that belong to the engine, not to the image: hosts, hostname, resolv.conf.

They are in the container's directory and bind-mounted into its root, so that a commit leaves them out. The engine
writes them in place, because a bind mount of a file shows the inode, not the name. The container can write to
the files, and make them as large as the disk, but cannot replace them. Even so, the engine opens them without
following links, and reads at most 1 MiB of each.
"""

from __future__ import annotations

import os
import stat

from pyctr_lite.engine.container import containers
from pyctr_lite.errors import InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container

_LOCAL = (
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"
    "ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
)


MAX_BYTES = 1 << 20
"""Of a larger file, only the lines before this size are used."""


def write(container: Container) -> None:
    """Write the three files for a start of the container."""
    options, directory = container.record.options, container.directory
    hostname = container.record.hostname
    hosts, resolv = _LOCAL, read_text("/etc/resolv.conf")
    if options.network == "host":
        hosts = read_text("/etc/hosts") or hosts
    elif options.network.startswith("container:"):
        try:
            other = containers.get(container.home, options.network.partition(":")[2])
        except NotFound:
            other = None
        if other is not None:
            hosts = read_text(f"{other.directory}/hosts", os.O_NOFOLLOW) or hosts
            resolv = read_text(f"{other.directory}/resolv.conf", os.O_NOFOLLOW)
    else:
        domain = f".{options.domainname}" if options.domainname else ""
        alias = f"{hostname}{domain} {hostname}" if domain else hostname
        hosts += f"127.0.1.1\t{alias}\n"
    if options.dns or options.dns_search or options.dns_options:
        resolv = _resolv(resolv, options.dns, options.dns_search, options.dns_options)
    hosts += "".join(f"{address}\t{name}\n" for name, address in map(parse_host, options.add_hosts))
    for name, text in (("hosts", hosts), ("hostname", hostname + "\n"), ("resolv.conf", resolv)):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(f"{directory}/{name}", flags, 0o644), "w", errors="surrogateescape") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)


def _resolv(text: str, servers: list[str], search: list[str], options: list[str]) -> str:
    """Return a resolv.conf with its servers, search domains and options replaced by those that are given."""
    new = {
        "nameserver": [f"nameserver {server}" for server in servers],
        "search": [f"search {' '.join(search)}"] if search and search != ["."] else [],
        "options": [f"options {' '.join(options)}"] if options else [],
    }
    replaced = {"nameserver": servers, "search": search, "domain": search, "options": options}
    kept = [line for line in text.splitlines() if not replaced.get((line.split() or [""])[0])]
    return "\n".join([*kept, *new["nameserver"], *new["search"], *new["options"], ""])


def parse_host(text: str) -> tuple[str, str]:
    """Parse `--add-host NAME:ADDRESS` into name and address. Raises InvalidArgument."""
    name, separator, address = text.partition("=" if "=" in text else ":")
    address = address.strip("[]")
    if not name.isprintable() or not name or " " in name or not separator or not is_address(address):
        raise InvalidArgument(f'bad format for add-host: "{text}"', "must be NAME:ADDRESS")
    return name, address


def is_address(text: str) -> bool:
    """Return whether a text is an IP address, version 4 or 6."""
    import _socket

    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, text)
        except OSError:
            continue
        return True
    return False


def read_text(path: str, flags: int = 0) -> str:
    """Read the first MAX_BYTES of a regular file, in whole lines; "" on an error. `flags` are for open(2)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        content = os.read(fd, MAX_BYTES + 1)
    except OSError:
        return ""
    finally:
        os.close(fd)
    if len(content) > MAX_BYTES:
        content = content[: content.rfind(b"\n", 0, MAX_BYTES) + 1]
    return content.decode(errors="surrogateescape")
