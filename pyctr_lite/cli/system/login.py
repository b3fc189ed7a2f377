"""`login`, `logout` and `search`: a person and a registry."""

from __future__ import annotations

import os
import sys

from pyctr_lite.cli.command.flags import Command, Context, Option
from pyctr_lite.cli.screen import tables
from pyctr_lite.errors import InvalidArgument

_FIELDS = {
    "Name": "NAME",
    "Description": "DESCRIPTION",
    "StarCount": "STARS",
    "IsOfficial": "OFFICIAL",
}
_DESCRIPTION_LENGTH = 45


def login(context: Context) -> int:
    """Check a user name and a password with a registry, and store them."""
    from pyctr_lite.registries import credentials, endpoint
    from pyctr_lite.registries import login as logins

    flags = context.flags
    place = endpoint.Endpoint(_server(flags.arguments), insecure=not flags.tls_verify)
    user, password = flags.username or "", flags.password or ""
    if flags.password is not None:
        print("WARNING! Using --password via the CLI is insecure. Use --password-stdin.", file=sys.stderr)
        if flags.password_stdin:
            raise InvalidArgument("conflicting options: cannot specify both --password and --password-stdin")
    if flags.password_stdin:
        if not user:
            raise InvalidArgument("the --password-stdin option requires --username to be set")
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise InvalidArgument("the --password-stdin option requires a password on standard input")
    known = credentials.find(place.key) if not user and not password else None
    if known:
        print("Authenticating with existing credentials...")
        credential = known
    else:
        credential = credentials.Credential(*_ask(user, password))
    accepted = logins.login(place.domain, credential, insecure=place.insecure)
    if accepted != known and (path := credentials.store(place.key, accepted)):
        print(
            f"WARNING! Your credentials are stored unencrypted in '{path}'.\n"
            "Configure a credential helper to remove this warning. See\n"
            "https://docs.docker.com/go/credential-store/\n",
            file=sys.stderr,
        )
    print("Login Succeeded")
    return 0


def _ask(user: str, password: str) -> tuple[str, str]:
    """Return user name and password; ask for what is missing."""
    if (not user or not password) and not os.isatty(0):
        raise InvalidArgument("Cannot perform an interactive login from a non TTY device")
    user = user or input("Username: ").strip()
    if not user:
        raise InvalidArgument("username is required")
    if not password:
        import getpass

        password = getpass.getpass("Password: ")
    if not password:
        raise InvalidArgument("password is required")
    return user, password


def logout(context: Context) -> int:
    """Remove the stored credential of a registry."""
    from pyctr_lite.registries import credentials, endpoint

    place = endpoint.Endpoint(_server(context.flags.arguments))
    print(f"Removing login credentials for {place.key}")
    credentials.erase(place.key)
    return 0


def _server(arguments: list[str]) -> str:
    """Return the domain of a registry that is given as Docker allows: a host, or an address."""
    text = arguments[0] if arguments else "docker.io"
    host = (text.partition("://")[2] or text).partition("/")[0]
    return "docker.io" if host in ("index.docker.io", "registry-1.docker.io") else host


def search(context: Context) -> int:
    """Search a registry for images."""
    from pyctr_lite.registries import search as searches

    flags = context.flags
    if not 1 <= flags.limit <= 100:
        raise InvalidArgument(f"limit {flags.limit} is outside the range of [1, 100]")
    listing = tables.Listing(_FIELDS, tuple(_FIELDS))
    found = searches.search(flags.arguments[0], flags.limit, insecure=not flags.tls_verify)
    rows = [
        {
            "Name": each.name,
            "Description": each.description
            if flags.no_trunc
            else tables.shorten(each.description, _DESCRIPTION_LENGTH),
            "StarCount": str(each.stars),
            "IsOfficial": "[OK]" if each.official else "",
        }
        for each in found
    ]
    listing.show(rows, flags.format or "")
    return 0


_TLS_VERIFY = Option("tls-verify", "bool", "Require HTTPS and a valid certificate", default=True)

COMMANDS = {
    "login": Command(
        "login",
        "[SERVER]",
        "Authenticate to a registry",
        (
            Option("password", "string", "Password or Personal Access Token (PAT)", short="p"),
            Option("password-stdin", "bool", "Take the Password or Personal Access Token (PAT) from stdin"),
            _TLS_VERIFY,
            Option("username", "string", "Username", short="u"),
        ),
        action=login,
        example="pyctr_lite login -u me --password-stdin localhost:5000 < token",
        differs="Docker does not have --tls-verify.",
    ),
    "logout": Command(
        "logout", "[SERVER]", "Log out from a registry", action=logout, example="pyctr_lite logout localhost:5000"
    ),
    "search": Command(
        "search",
        "TERM",
        "Search Docker Hub, or with HOST/TERM a registry, for images",
        (
            Option("format", "string", "Pretty-print search using a Go template"),
            Option("limit", "int", "Max number of search results", default=25),
            Option("no-trunc", "bool", "Don't truncate output"),
            _TLS_VERIFY,
        ),
        action=search,
        example="pyctr_lite search localhost:5000/busybox",
        differs="If a registry cannot search, its list of repositories is searched. Docker does not have "
        "--tls-verify.",
    ),
}
