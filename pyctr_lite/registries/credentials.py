"""Credentials, where Docker keeps them: config.json, and the helper programs `docker-credential-NAME`.

Podman's auth.json is read as second choice. Only `$DOCKER_CONFIG/config.json` is written; its other keys stay.
"""

from __future__ import annotations

import base64
import os
from typing import Any, NamedTuple

from pyctr_lite import jsonfile
from pyctr_lite.errors import PyctrError

_TOKEN_USER = "<token>"
_NOT_FOUND = "credentials not found in native keychain"


class Credential(NamedTuple):
    """A user's name and password, or an identity token in their place."""

    user: str
    password: str
    identity_token: str = ""


def config_path() -> str:
    """Return the path of Docker's config.json: in $DOCKER_CONFIG, else ~/.docker."""
    directory = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    return f"{directory}/config.json"


def find(key: str) -> Credential | None:
    """Return the credential of a registry by its key, else None. Raises PyctrError if a helper fails."""
    for path in (config_path(), *_podman_paths()):
        config = _read(path)
        if helper := _helper(config, key):
            if found := _ask(helper, key):
                return found
        elif found := _from_file(_object(config, "auths"), key):
            return found
    return None


def store(key: str, credential: Credential) -> str:
    """Store the credential of a registry. Returns the path of the file in which it is unencrypted, "" for none."""
    path = config_path()
    config = _read(path)
    if helper := _helper(config, key):
        user = _TOKEN_USER if credential.identity_token else credential.user
        secret = credential.identity_token or credential.password
        _run(helper, "store", jsonfile.dumps({"ServerURL": key, "Username": user, "Secret": secret}))
        config["auths"] = {**_object(config, "auths"), key: {}}
        _write(path, config)
        return ""
    text = f"{credential.user}:{'' if credential.identity_token else credential.password}"
    entry = {"auth": base64.b64encode(text.encode(errors="surrogateescape")).decode()}
    if credential.identity_token:
        entry["identitytoken"] = credential.identity_token
    config["auths"] = {**_object(config, "auths"), key: entry}
    _write(path, config)
    return path


def erase(key: str) -> bool:
    """Remove the credential of a registry. Returns whether there was one."""
    path = config_path()
    config = _read(path)
    auths = _object(config, "auths")
    found = key in auths
    if helper := _helper(config, key):
        found = found or _ask(helper, key) is not None
        _run(helper, "erase", key)
    if key in auths:
        config["auths"] = {other: value for other, value in auths.items() if other != key}
        _write(path, config)
    return found


def _podman_paths() -> list[str]:
    paths = [os.environ.get("REGISTRY_AUTH_FILE") or ""]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        paths.append(f"{runtime}/containers/auth.json")
    return [*filter(None, paths), "/run/containers/0/auth.json"]


def _read(path: str) -> dict[str, Any]:
    try:
        value = jsonfile.read(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise PyctrError(f"error loading config file: {error}", "correct it, or move it away") from None
    return value if isinstance(value, dict) else {}


def _write(path: str, config: dict[str, Any]) -> None:
    path = os.path.realpath(path)  # a link to a file of another place stays a link
    try:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        jsonfile.write(path, config, 0o600, durable=True)
    except OSError as error:
        raise PyctrError(f"error saving credentials: {path}: {error.strerror}") from None


def _object(config: dict[str, Any], key: str) -> dict[str, Any]:
    value = config.get(key)
    return value if isinstance(value, dict) else {}


def _helper(config: dict[str, Any], key: str) -> str:
    """Return the name of the helper for a registry, "" for none."""
    helpers = _object(config, "credHelpers")
    name = helpers.get(key) or helpers.get(_host(key)) or config.get("credsStore") or ""
    if not isinstance(name, str) or "/" in name:
        raise PyctrError(f"error loading config file: {name!r} is not the name of a credential helper")
    return name


def _from_file(auths: dict[str, Any], key: str) -> Credential | None:
    entry = auths.get(key)
    if not entry:
        entry = next((value for other, value in auths.items() if _host(other) == _host(key) and value), None)
    if not isinstance(entry, dict):
        return None
    try:
        text = base64.b64decode(str(entry.get("auth") or ""), validate=True).decode(errors="surrogateescape")
    except ValueError:
        return None
    user, _, password = text.partition(":")
    password = password.rstrip("\0")
    token = entry.get("identitytoken") or ""
    if isinstance(token, str) and (token or user):
        return Credential(user, password, token)
    return None


def _host(key: str) -> str:
    """Return the host of a key: older versions of Docker wrote an address."""
    host = key.partition("://")[2] or key
    host = host.partition("/")[0]
    return "docker.io" if host == "index.docker.io" else host


def _ask(helper: str, key: str) -> Credential | None:
    try:
        value = jsonfile.loads(_run(helper, "get", key))
    except KeyError:
        return None
    except ValueError:
        value = None
    user, secret = (value.get("Username"), value.get("Secret")) if isinstance(value, dict) else (None, None)
    if not isinstance(user, str) or not isinstance(secret, str):
        raise PyctrError(f"docker-credential-{helper}: its answer is not a credential")
    return Credential("", "", secret) if user == _TOKEN_USER else Credential(user, secret)


def _run(helper: str, verb: str, text: str) -> str:
    """Run a helper with a text on its stdin. Raises KeyError if it has no credential."""
    import subprocess

    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, verb], input=text, capture_output=True, text=True, errors="surrogateescape", timeout=60
        )
    except FileNotFoundError:
        raise PyctrError(
            f"error getting credentials - err: exec: {program}: executable file not found in $PATH",
            f"install it, or remove credsStore from {config_path()}",
        ) from None
    except PermissionError:
        raise PyctrError(f"error getting credentials - err: exec: {program}: permission denied") from None
    except subprocess.TimeoutExpired:
        raise PyctrError(f"error getting credentials - err: {program} {verb}: no answer in 60 seconds") from None
    if done.returncode and verb == "get" and _NOT_FOUND in done.stdout + done.stderr:
        raise KeyError(text)
    if done.returncode and verb != "erase":
        out = " ".join((done.stdout + done.stderr).split())
        raise PyctrError(f"error getting credentials - err: exit status {done.returncode}, out: `{out}`")
    return done.stdout
