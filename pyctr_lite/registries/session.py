"""A session with a registry: requests with authorization, for one pull, push, search or login."""

from __future__ import annotations

from functools import partial

from pyctr_lite.registries import addresses, answers, credentials, endpoint, transport
from pyctr_lite.registries.authorization import Authorization, NoCredentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Any

    from pyctr_lite.registries.credentials import Credential

_MAX_CHALLENGES = 3
"""A token may expire between two threads' requests, so a second challenge is no refusal yet."""


class Session:
    """Requests to one registry, from any thread. `scopes` are the rights to ask the token server for."""

    def __init__(
        self,
        domain: str,
        scopes: Sequence[str] = (),
        *,
        insecure: bool = False,
        find: Callable[[], Credential | None] | None = None,
    ) -> None:
        """`find` returns the user's credential, by default the stored one."""
        self.endpoint = endpoint.Endpoint(domain, insecure=insecure)
        self.transport = transport.Transport(self.endpoint.host if self.endpoint.insecure else "")
        find = find or partial(credentials.find, self.endpoint.key)
        self.authorization = Authorization(self.transport, lambda: self.base, find, list(scopes))

    @property
    def base(self) -> str:
        """The registry's address, without a path."""
        return self.endpoint.base(self.transport)

    def request(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        body: Any = None,
        *,
        expected: Collection[int] = (200,),
        patient: bool = True,
    ) -> transport.Response:
        """Send a request with authorization; return an answer whose status is expected, to be closed.

        A body with a method `rewind` is sent again after a challenge. Another server gets no authorization.
        Raises RegistryError for another status, NoCredentials, TransportError.
        """
        ours = self.is_ours(url)
        for _ in range(_MAX_CHALLENGES):
            used = self.authorization.header() if ours else ""
            sent = {**(headers or {}), **({"Authorization": used} if used else {})}
            response = self.transport.request(method, url, sent, body, patient=patient)
            if response.status in expected:
                return response
            try:
                error = answers.refusal(response, addresses.shown(method, url))
            finally:
                self.transport.close(response)
            try:
                if response.status != 401 or not ours or not self.authorization.answer(response, used):
                    break
            except NoCredentials as missing:
                raise NoCredentials(f"{addresses.shown(method, url)}: {missing.message}", missing.hint) from None
            if hasattr(body, "rewind"):
                body.rewind()
        raise error

    def is_ours(self, url: str) -> bool:
        """Return whether an address is the registry's own."""
        return addresses.origin(url) == addresses.origin(self.base)
