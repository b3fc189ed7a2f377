"""Where a registry is: its host on the wire, its scheme, its certificates, and its key among the credentials."""

from __future__ import annotations

import ipaddress
import os
import re
import threading
from urllib.parse import urlsplit

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.images import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl

    from pyctr_lite.registries.transport import Transport

CERTIFICATES = ["/etc/docker/certs.d", "/etc/containers/certs.d"]
"""Docker's directory, and podman's: `<directory>/<host[:port]>/` has `*.crt` (authorities), `*.cert`, `*.key`."""
INSECURE_VARIABLE = "PYCTR_LITE_INSECURE_REGISTRIES"
"""Registries (`host[:port]`, comma-separated) that may speak plain HTTP, or have an unknown certificate."""
_DOMAIN = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
_HUB = "registry-1.docker.io"
_HUB_KEY = "https://index.docker.io/v1/"


class Endpoint:
    """A registry. `domain` is its name in references, `host` the one on the wire.

    An insecure one may have an unknown certificate or none at all; one on this machine may speak plain HTTP.
    """

    def __init__(self, domain: str, *, insecure: bool = False) -> None:
        try:
            if not _DOMAIN.fullmatch(domain):
                raise ValueError
            urlsplit(f"//{domain}").port  # noqa: B018  # raises
        except ValueError:
            raise InvalidArgument(f"invalid registry {domain!r}", "HOST or HOST:PORT") from None
        self.domain = domain
        self.host = _HUB if domain == references.DEFAULT_DOMAIN else domain
        self.is_hub = domain == references.DEFAULT_DOMAIN
        self.key = _HUB_KEY if self.is_hub else domain
        asked = [name.strip() for name in os.environ.get(INSECURE_VARIABLE, "").split(",")]
        self.insecure = insecure or domain in asked
        self._lock = threading.Lock()
        self._base = "" if self.insecure or is_loopback(self.host) else f"https://{self.host}"

    def base(self, transport: Transport) -> str:
        """Return scheme and host. A registry that may speak plain HTTP is asked for TLS first, as Docker does."""
        with self._lock:
            if not self._base:
                tls = transport.speaks_tls(f"https://{self.host}")
                self._base = f"{'https' if tls else 'http'}://{self.host}"
            return self._base


def is_loopback(host: str) -> bool:
    """Return whether a host, with or without a port, is this machine: localhost, 127.0.0.0/8 or ::1."""
    if host.startswith("["):
        name = host.partition("]")[0].removeprefix("[")
    else:
        name = host if host.count(":") > 1 else host.partition(":")[0]
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def tls_context(host: str, *, verify: bool) -> ssl.SSLContext:
    """Return the TLS settings for a host: the system's authorities, and the files in certs.d, if there are any.

    Without `verify`, any certificate is accepted, and no authorities are read, which takes 40 ms.
    """
    import ssl  # 30 ms, which plain HTTP does not need

    if verify:
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for top in CERTIFICATES:
        directory = f"{top}/{host}"
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
            path = f"{directory}/{name}"
            if name.endswith(".crt"):
                context.load_verify_locations(path)
            elif name.endswith(".cert"):
                context.load_cert_chain(path, path.removesuffix(".cert") + ".key")
    return context
