"""The session keyring of a container: fresh, under runc's name, and found again by exec."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pyctr_lite import linux
from tests.oci.conftest import Oci

USER_SEARCH = 0x080000


@pytest.fixture
def keys(oci: Oci) -> Oci:
    if not Path("/proc/keys").exists():
        pytest.skip("this kernel has no keys")
    oci.config["linux"]["maskedPaths"] = []  # /proc/keys is one of them
    oci.write("cat", "/proc/keys")
    return oci


def serials(text: str, id: str) -> list[str]:
    """Return the serial numbers of a container's keyrings in the output of /proc/keys, without revoked ones."""
    lines = [line.split() for line in text.splitlines()]
    return [line[0] for line in lines if line[8].rstrip(":") == f"_ses.{id}" and line[1][1] != "R"]


def test_a_container_and_its_execs_share_one_keyring(keys: Oci) -> None:
    id = f"box-{os.getpid()}"
    for user in (False, True):
        if user:
            keys.config["linux"]["namespaces"].append({"type": "user"})
            maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
            keys.config["linux"] |= {"uidMappings": maps, "gidMappings": maps}
        keys.write("sleep", "60")
        keys("run", "--detach", "--bundle", keys.bundle, id, check=True)
        first, again = (keys("exec", id, "cat", "/proc/keys", check=True).stdout for _ in range(2))
        assert len(serials(first, id)) == 1
        assert serials(first, id) == serials(again, id)
        keys("delete", "--force", id, check=True)


def test_a_leftover_keyring_of_the_same_name_is_not_used(keys: Oci) -> None:
    """Any process of the same user could keep one, one of an earlier container for example."""
    id = f"box-{os.getpid()}"
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        serial = linux.join_session_keyring(f"_ses.{id}")
        linux.set_key_permissions(serial, linux.key_permissions(serial) | USER_SEARCH)
        os.write(writer, f"{serial:08x}".encode())
        signal.pause()
    try:
        old = os.read(reader, 8).decode()
        (new,) = serials(keys("run", "--bundle", keys.bundle, id, check=True).stdout, id)
        assert new != old
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reader)
        os.close(writer)


def test_the_callers_keyring_stays_with_no_new_keyring(keys: Oci) -> None:
    id = f"box-{os.getpid()}"
    assert len(serials(keys("run", "-b", keys.bundle, id, check=True).stdout, id)) == 1
    id += "-other"  # the kernel removes the keyring of an ended container only a moment later
    assert serials(keys("run", "--no-new-keyring", "-b", keys.bundle, id, check=True).stdout, id) == []
