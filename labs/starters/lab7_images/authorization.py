"""The answer to a registry that asks who you are (exercise 7.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from labs.kit import Todo
from pyctr_lite.errors import PyctrError
from pyctr_lite.registries import endpoint
from pyctr_lite.registries.authorization import CLIENT, basic

if TYPE_CHECKING:
    from pyctr_lite.registries.credentials import Credential

# A challenge is the header WWW-Authenticate of an answer 401, taken apart by the engine. From
#   Bearer realm="https://auth.example/token",service="registry",scope="repository:app:pull,push"
# comes {"realm": "https://auth.example/token", "service": "registry", "scope": "repository:app:pull,push"}.
# A credential has `user` and `password`; basic(user, password) is a value of the header Authorization, and
# endpoint.is_loopback(host) says whether a host is this machine. urllib.parse(3) has the rest.


def token_request(
    challenge: dict[str, str], base: str, scopes: list[str], credential: Credential | None
) -> tuple[str, dict[str, str]]:
    """Return the address and the headers of the GET request that answers a Bearer challenge.

    The address is the challenge's `realm`, perhaps relative to `base`, the address of the registry. A query that
    the realm has stays, its fragment goes. The query gets the challenge's `service` unless it has none or an
    empty one, and each of `scopes` as a `scope`; with a credential also the user as `account`, CLIENT as
    `client_id`, and "true" as `offline_token`. The password goes into the header Authorization (`basic`), and
    nowhere else. Without a credential (None) there are no headers.
    The realm is an https address. With http it is allowed if its host is this machine, if there is no credential,
    or if `base` is http, too. Raises PyctrError for any other realm.
    Source: distribution, spec/auth/token.md; RFC 6750, 3; RFC 7617.
    """
    # 1. The registry sends you to a token server. Who chooses that server, and who sees the password on the way if
    #    its address begins with http?
    # 2. urlsplit(address) knows scheme, host and query of an address: also of http://localhost:80@example.org/?
    #    Which of its members is the host, and nothing else?
    # 3. The engine knows what it wants to do: that is `scopes`. Each is a field of its own. Which characters of
    #    "repository:app:pull,push" mean something else in a query, and which function knows them all?
    # 4. A realm may have a query of its own already: what comes between that and your fields?
    # 5. An address is written into logs, and into the messages of errors. What must not be in it?
    raise Todo("7.2")
