"""Refusals of a registry, in the words of Docker (distribution-spec, "Error Codes")."""

from __future__ import annotations

from pyctr_lite import jsonfile
from pyctr_lite.errors import PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.images.reference import Reference
    from pyctr_lite.registries.transport import Response

_MAX_BODY = 1 << 16
_BY_STATUS = {401: "UNAUTHORIZED", 403: "DENIED", 404: "", 429: "TOOMANYREQUESTS"}
_TEXTS = {
    "UNAUTHORIZED": "authentication required",
    "DENIED": "requested access to the resource is denied",
    "TOOMANYREQUESTS": "too many requests",
}


class RegistryError(PyctrError):
    """A refusal: `code` is the registry's error code, such as MANIFEST_UNKNOWN, "" if it gave none."""

    def __init__(self, message: str, hint: str = "", *, status: int = 0, code: str = "") -> None:
        super().__init__(message, hint)
        self.status, self.code = status, code


def refusal(response: Response, request: str) -> RegistryError:
    """Return the error of an answer that is a failure; its body is read, up to a limit."""
    from pyctr_lite.registries import transport  # 150 ms, which the answer has cost already

    status = response.status
    try:
        code, message = _first(response.read(_MAX_BODY))
    except transport.INTERRUPTIONS:  # the body is only an explanation
        code, message = "", ""
    challenge = response.headers.get("WWW-Authenticate") or ""
    if status == 401 and "insufficient_scope" in challenge:
        code, message = "DENIED", _TEXTS["DENIED"]
    if not code and _BY_STATUS.get(status):
        code = _BY_STATUS[status]
    if not code:
        text = f"{request}: received unexpected HTTP status: {status} {response.reason or ''}".rstrip()
        return RegistryError(text, status=status)
    if code == "UNKNOWN":
        message = f"{message or 'unknown error'} (HTTP status {status} of {request})"
    hint = "pyctr_lite login may raise the limit" if code == "TOOMANYREQUESTS" else ""
    words = code.lower().replace("_", " ")
    return RegistryError(f"{words}: {message or _TEXTS.get(code, words)}", hint, status=status, code=code)


def about(error: RegistryError, reference: Reference) -> RegistryError:
    """Return an error whose message has the image's name."""
    if reference.familiar() not in error.message and error.code != "TOOMANYREQUESTS":
        error.message = f"{reference.familiar()}: {error.message}"
    return error


def _first(body: bytes) -> tuple[str, str]:
    """Return code and message of the first error in a body, "" for what is missing."""
    try:
        value: Any = jsonfile.loads(body.decode(errors="replace"))
    except ValueError:
        return "", ""
    errors = value.get("errors") if isinstance(value, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, dict):
        return "", ""
    code, message = first.get("code"), first.get("message")
    return code if isinstance(code, str) else "", message if isinstance(message, str) else ""
