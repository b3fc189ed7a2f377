"""A minimal Debian root file system, made by mmdebstrap(1) from the sources of the host's apt."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from pyctr_lite.errors import BrokenArchive, NotFound, PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from pyctr_lite.rootfs.tar import Readable

_SOURCES = "/etc/apt"
# Proxy and checking settings of the host's apt: used while the image is made, then removed from it.
_SETTINGS = ("Acquire::http", "Acquire::https", "Acquire::Check-")
_HOST_FILES = ("etc/apt/apt.conf.d/zz-host", "etc/hostname", "etc/resolv.conf")


@contextlib.contextmanager
def root_filesystem(suite: str) -> Iterator[Readable]:
    """Yield the tar stream of a minimal root file system, which ends only if mmdebstrap has succeeded.

    Raises NotFound if mmdebstrap is missing, PyctrError if it fails.
    """
    if not shutil.which("mmdebstrap"):
        raise NotFound("no mmdebstrap on this machine", "apt-get install mmdebstrap")
    with tempfile.TemporaryDirectory() as directory, open(f"{directory}/messages", "w+b") as messages:
        settings = Path(directory, "zz-host")
        settings.write_text(_settings())
        command = [
            "mmdebstrap", "--mode=root", "--variant=minbase", "--format=tar",
            f"--setup-hook=copy-in {settings} /etc/apt/apt.conf.d/",
            "--customize-hook=cd \"$1\" && rm -f " + " ".join(_HOST_FILES),
            suite, "-", *sources(suite),
        ]  # fmt: skip
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages
        ) as process:
            try:
                yield _Output(process, messages)
            except BrokenArchive:
                check(process, messages)  # the archive is broken because mmdebstrap has failed
                raise
            finally:
                process.terminate()


def codename() -> str:
    """Return the host's release (os-release(5), VERSION_CODENAME); bookworm if the host is not Debian."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return release.get("VERSION_CODENAME", "") if release.get("ID") == "debian" else "bookworm"


def sources(suite: str, directory: str = _SOURCES) -> list[str]:
    """Return the host's apt sources files that list a suite. With none, mmdebstrap uses its default mirror."""
    candidates = [Path(directory, "sources.list"), *sorted(Path(directory, "sources.list.d").glob("*"))]
    return [
        str(path)
        for path in candidates
        if path.suffix in (".list", ".sources") and path.is_file() and _has_suite(path.read_text(), suite)
    ]


def _has_suite(text: str, suite: str) -> bool:
    """Return whether a sources.list(5) file, in the one-line or deb822 format, lists a suite."""
    for line in text.splitlines():
        fields = line.split()
        if fields[:1] in (["deb"], ["Suites:"]) and suite in fields:
            return True
    return False


def check(process: subprocess.Popen[bytes], messages: IO[bytes]) -> None:
    """Wait for mmdebstrap. Raises PyctrError, with its error message, if it has failed."""
    if process.wait() == 0:
        return
    messages.seek(0)
    lines = [line for line in messages.read().decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E:")] or lines or [f"exit status {process.returncode}"]
    raise PyctrError(
        f"mmdebstrap failed: {errors[0]}", "is the mirror in /etc/apt reachable, and does it have the suite?"
    )


class _Output:
    """The archive that mmdebstrap writes to its standard output."""

    def __init__(self, process: subprocess.Popen[bytes], messages: IO[bytes]) -> None:
        self._process, self._messages = process, messages

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; no bytes at the end. Raises PyctrError if mmdebstrap has failed."""
        assert self._process.stdout is not None
        data = self._process.stdout.read(size)
        if not data:
            check(self._process, self._messages)
        return data


def _settings() -> str:
    config = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    return "".join(f"{line}\n" for line in config.splitlines() if line.startswith(_SETTINGS))
