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
from pyctr_lite.networks import DEFAULT, resolv_conf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.state.options import ContainerOptions

_LOCAL = (
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"
    "ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
)


HOST_GATEWAY = "host-gateway"
"""An address of --add-host: that of this machine on the default network, as in Docker."""
MAX_BYTES = 1 << 20
"""Of a larger file, only the lines before this size are used."""


def write(container: Container, endpoints: dict[str, dict[str, Any]] | None = None) -> None:
    """Write the three files for a start of the container.

    `endpoints` are those of its networks, from whose addresses it gets lines in hosts; without any yet, it gets
    none.
    """
    options, directory = container.record.options, container.directory
    hostname = container.record.hostname
    hosts, resolv = _LOCAL, ""
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
    own = own_lines(container, endpoints or {}) if options.network not in ("host", "none") else ""
    if options.network == "none":
        own = f"127.0.1.1\t{_own_names(container)}\n"
    if not options.network.startswith("container:"):
        resolv, _, _ = resolv_conf_of(options, user_defined=any(name != DEFAULT for name in options.networks))
    for name, address in map(parse_host, options.add_hosts):
        hosts += f"{gateway(container) if address == HOST_GATEWAY else address}\t{name}\n"
    write_file(f"{directory}/hosts", hosts + own)
    write_file(f"{directory}/hostname", hostname + "\n")
    write_file(f"{directory}/resolv.conf", resolv)


def change(container: Container, gone: dict[str, dict[str, Any]], added: dict[str, dict[str, Any]]) -> None:
    """Follow a change of a running container's networks; lines that the container has written stay.

    resolv.conf changes with the first network that has names. After the last one it stays, as in Docker. A file of
    which the container holds a lease stays as it is: to wait for it would take 45 s.
    """
    directory, options = container.directory, container.record.options
    hosts = read_text(f"{directory}/hosts", os.O_NOFOLLOW)
    old = set(own_lines(container, gone).splitlines())
    kept = "".join(f"{line}\n" for line in hosts.splitlines() if line not in old)
    _rewrite(f"{directory}/hosts", kept + own_lines(container, added))
    if any(name != DEFAULT for name in added):
        resolv, _, _ = resolv_conf_of(options, user_defined=True)
        _rewrite(f"{directory}/resolv.conf", resolv)


def _rewrite(path: str, text: str) -> None:
    try:
        write_file(path, text)
    except BlockingIOError:
        pass


def own_lines(container: Container, endpoints: dict[str, dict[str, Any]]) -> str:
    """Return the lines of hosts with the container's own addresses."""
    addresses = [endpoint[key] for endpoint in endpoints.values() for key in ("IPAddress", "GlobalIPv6Address")]
    return "".join(f"{address}\t{_own_names(container)}\n" for address in addresses if address)


def write_file(path: str, text: str) -> None:
    """Overwrite one of the files in place. Raises BlockingIOError if the container has a lease of it: fcntl(2)."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(path, flags, 0o644), "w", errors="surrogateescape") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o644)


def gateway(container: Container) -> str:
    """Return the address of this machine that containers on the default network reach: host-gateway."""
    return next(address for _, address, _ in container.home.networks.get(DEFAULT).subnets if ":" not in address)


def resolv_conf_of(options: ContainerOptions, *, user_defined: bool) -> tuple[str, list[resolv_conf.Server], bool]:
    """Return a container's resolv.conf; for its DNS server the servers behind it, and `single` (`Resolver`)."""
    given = (options.dns, options.dns_search, options.dns_options)
    if user_defined:
        return resolv_conf.for_user_network(read_text(resolv_conf.HOST), *given)
    if options.network == "host":
        return resolv_conf.for_host_network(read_text(resolv_conf.HOST), *given), [], True
    text, path = resolv_conf.host_file(read_text)
    return resolv_conf.for_default_bridge(text, *given, path=path), [], True


def _own_names(container: Container) -> str:
    hostname, domain = container.record.hostname, container.record.options.domainname
    return f"{hostname}.{domain} {hostname}" if domain else hostname


def parse_host(text: str) -> tuple[str, str]:
    """Parse `--add-host NAME:ADDRESS` into name and address. Raises InvalidArgument."""
    name, separator, address = text.partition("=" if "=" in text else ":")
    address = address.strip("[]")
    valid = address == HOST_GATEWAY or is_address(address)
    if not name.isprintable() or not name or " " in name or not separator or not valid:
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
