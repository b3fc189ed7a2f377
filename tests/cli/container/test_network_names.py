"""Names of containers on a network of the user's, asked by musl, glibc and busybox."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Pyctr

LOOKUP = r"""
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
/* lookup NAME: its addresses, in the order of the answer, then the name of the first. */
int main(int count, char **words) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int error = getaddrinfo(words[count - 1], NULL, &hints, &found);
    if (error) { puts(gai_strerror(error)); return 2; }
    char text[256];
    for (struct addrinfo *it = found; it; it = it->ai_next) {
        getnameinfo(it->ai_addr, it->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
        puts(text);
    }
    if (getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, NULL, 0, NI_NAMEREQD) == 0) puts(text);
    return 0;
}
"""


@pytest.fixture
def musl(pyctr: Pyctr, needs: Callable[[str], str], tmp_path: Path) -> str:
    """Make an image with musl, from Debian's package, and the program `lookup` linked against it."""
    root, source = tmp_path / "musl", tmp_path / "lookup.c"
    for name in ("lib", "bin", "etc"):
        (root / name).mkdir(parents=True)
    source.write_text(LOOKUP)
    subprocess.run([needs("musl-gcc"), "-O1", "-o", root / "bin/lookup", source], check=True)
    (loader,) = Path("/lib").glob("ld-musl-*.so.1")
    shutil.copy(os.path.realpath(loader), root / "lib" / loader.name)
    subprocess.run(["tar", "-C", root, "-cf", tmp_path / "musl.tar", "."], check=True)
    pyctr("import", tmp_path / "musl.tar", "musl", check=True)
    return "musl"


@pytest.fixture
def red(pyctr: Pyctr) -> Iterator[str]:
    """A network with two containers that share an alias."""
    pyctr("network", "create", "red", check=True)
    for name in ("one", "two"):
        flags = ("--name", name, "--network", "red", "--network-alias", "shop")
        pyctr("run", "-d", *flags, "busybox", "sleep", "600", check=True)
    yield "red"
    pyctr("rm", "-f", "one", "two", check=True)


def address_of(pyctr: Pyctr, name: str) -> str:
    return pyctr("exec", name, "hostname", "-i", check=True).stdout.split()[0]


def test_musl_finds_names_aliases_ids_and_addresses(pyctr: Pyctr, red: str, musl: str) -> None:
    one, two = address_of(pyctr, "one"), address_of(pyctr, "two")
    id = pyctr("inspect", "-f", "{{.Id}}", "one", check=True).stdout[:12]

    def lookup(name: str) -> list[str]:
        return pyctr("run", "--rm", "--network", red, musl, "/bin/lookup", name, timeout=30).stdout.split("\n")[
            :-1
        ]

    assert lookup("one") == [one, "one.red"]
    assert lookup(id) == [one, "one.red"]
    assert lookup("one.red") == [one, "one.red"]
    assert set(lookup("shop")[:2]) == {one, two}


def test_busybox_and_glibc_find_names(pyctr: Pyctr, red: str) -> None:
    one = address_of(pyctr, "one")
    assert one in pyctr("exec", "two", "nslookup", "one", check=True).stdout
    assert pyctr("exec", "two", "ping", "-c1", "-W5", "one").returncode == 0
    # glibc: the host's programs, at the container's root and network.
    glibc = ("run", "--rm", "--network", red, "-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro")
    assert pyctr(*glibc, "busybox", "/usr/bin/getent", "hosts", "shop").stdout.split()[-1] == "shop"
    assert pyctr(*glibc, "busybox", "/usr/bin/getent", "hosts", one).stdout.split() == [one, "one.red"]


def test_a_name_goes_when_its_container_ends(pyctr: Pyctr, red: str) -> None:
    pyctr("run", "-d", "--name", "gone", "--network", red, "busybox", "sleep", "600", check=True)
    assert pyctr("exec", "one", "nslookup", "gone").returncode == 0
    pyctr("stop", "-t", "0", "gone", check=True)
    assert pyctr("exec", "one", "nslookup", "gone.red").returncode == 1
    pyctr("start", "gone", check=True)
    assert pyctr("exec", "one", "nslookup", "gone").returncode == 0


def test_the_default_network_has_no_names(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "one", "busybox", "sleep", "600", check=True)
    resolv = pyctr("run", "--rm", "busybox", "cat", "/etc/resolv.conf", check=True).stdout
    assert "127.0.0.11" not in resolv
