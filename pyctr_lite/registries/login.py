"""Login: check a credential with the registry before it is stored."""

from __future__ import annotations

from pyctr_lite.errors import PyctrError
from pyctr_lite.registries import addresses, answers
from pyctr_lite.registries.credentials import Credential
from pyctr_lite.registries.session import Session


def login(domain: str, credential: Credential, *, insecure: bool = False) -> Credential:
    """Ask a registry to accept a credential. Returns what to store: if it gave an identity token, that.

    Raises PyctrError with the registry's refusal, in Docker's words; TransportError.
    """
    session = Session(domain, insecure=insecure, find=lambda: credential)
    url = f"{session.base}/v2/"
    try:
        response = session.request("GET", url, expected=(200, 404))
    except answers.RegistryError as error:
        if session.authorization.is_basic:
            raise PyctrError(f"login attempt to {url} failed with status: 401 Unauthorized") from None
        request = addresses.shown("GET", url)
        text = error.message if request in error.message else f"{request}: {error.message}"
        raise PyctrError(text) from None
    session.transport.close(response)
    if response.status != 200:
        raise PyctrError(f"login attempt to {url} failed with status: {response.status} {response.reason or ''}")
    if token := session.authorization.identity_token:
        return Credential(credential.user, "", token)
    return credential
