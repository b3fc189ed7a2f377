"""A context from a git repository: `https://host/path.git#REF:DIRECTORY`, fetched by git.

The repository is not trusted. Of the settings of the machine and the caller, git gets only http.sslCAInfo: none of
their hooks, filters and credential helpers runs, and there is no question on the terminal. It uses three protocols
of the network. Only the wanted commit is fetched, without submodules. The user and the password in a URL are in
git's environment, and neither in its command line nor in its messages.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from pyctr_lite.errors import InvalidArgument, PyctrError
from pyctr_lite.rootfs import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.images.staging import Staging

_PATH = "/usr/local/bin:/usr/bin:/bin"
_URL = re.compile(r"(?:https?|git)://[^\s]+")
_REFERENCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]*")
_PASSED = ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "git_ssl_cainfo")
_OF_SETTINGS = ("HOME", "XDG_CONFIG_HOME")
"""The variables by which git finds the settings of the caller."""
_OTHERS = ("ssh://", "git@")
_SETTINGS = {"core.hooksPath": "/dev/null", "credential.helper": "", "submodule.recurse": "false"}


def is_url(context: str) -> bool:
    """Return whether a context is a git repository and not another URL, as Docker decides."""
    url = context.partition("#")[0]
    if context.startswith(("http://", "https://")):
        return url.endswith(".git")
    return context.startswith(("git://", "github.com/", *_OTHERS))


def fetch(context: str, staging: Staging) -> tuple[str, str]:
    """Fetch a repository into the staging directory; return the directory, and the path in it that is the context.

    Raises InvalidArgument for an URL that is not supported, PyctrError if git fails.
    """
    from pyctr_lite.registries import addresses

    context, user = addresses.split_user(context)
    url, _, fragment = context.partition("#")
    reference, _, directory = fragment.partition(":")
    if url.startswith("github.com/"):
        url = f"https://{url}"
    if url.startswith(_OTHERS):
        raise InvalidArgument(
            f"{url}: a repository by SSH is not supported as a context", "clone it, and give its directory"
        )
    if not _URL.fullmatch(url):
        raise InvalidArgument(f"invalid URL of a repository: {url!r}", "https://host/path.git#REF:DIRECTORY")
    if reference and (not _REFERENCE.fullmatch(reference) or ".." in reference):
        raise InvalidArgument(f"invalid branch, tag or commit: {reference!r}")
    program = shutil.which("git", path=_PATH)
    if program is None:
        raise PyctrError("a context from a repository needs git", "apt-get install git")
    path = staging.new_path()
    settings = {"http.sslCAInfo": found} if (found := _authorities(program, url)) else {}
    if user:
        whole = url.replace("://", f"://{user.replace('@', '%40')}@", 1)
        settings[f"url.{whole}.insteadOf"] = url
    _run(program, "init", "-q", "--template=", path)
    fetch = ("fetch", "-q", "--depth=1", "--no-tags", "--", url, reference or "HEAD")
    _run(program, "-C", path, *fetch, settings=settings)
    _run(program, "-C", path, "checkout", "-q", "--detach", "FETCH_HEAD")
    walk.remove_tree(f"{path}/.git")
    return path, directory


def _authorities(program: str, url: str) -> str:
    """Return the file of authorities that the settings of the caller name for a URL, "" without."""
    known = {name: os.environ[name] for name in _OF_SETTINGS if name in os.environ}
    command = [program, "config", "--type=path", "--get-urlmatch", "http.sslCAInfo", url]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": _PATH, **known}, cwd="/")
    return done.stdout.strip()


def _run(program: str, *arguments: str, settings: dict[str, str] | None = None) -> None:
    given = {**_SETTINGS, **(settings or {})}
    passed = {name: value for name, value in os.environ.items() if name.lower() in _PASSED}
    environment = {
        **passed,
        "PATH": _PATH,
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_ALLOW_PROTOCOL": "https:http:git",
        "GIT_ASKPASS": "/bin/false",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": str(len(given)),
    }
    for number, (name, value) in enumerate(given.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    done = subprocess.run(
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
        umask=0o022,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise PyctrError(f"failed to fetch the repository: {lines[-1].removeprefix('fatal: ')}")
