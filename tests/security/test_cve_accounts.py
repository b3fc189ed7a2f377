"""Published vulnerabilities in the user, groups and capabilities of a container's process."""

from __future__ import annotations

import os
import struct
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS, Pyctr
from tests.images.archives import directory, entry, symlink
from tests.leases import leased
from tests.security.hostile import UP, load
from tests.syscalls import PERL_MOUNTS

NET_RAW = 1 << 13


@pytest.mark.parametrize(
    ("user", "way"), [("1000", "flag"), ("1000:1000", "image"), ("1000:1000", "exec"), ("01000", "flag")]
)
def test_a_numeric_user_is_never_looked_up_as_a_name(pyctr: Pyctr, tmp_path: Path, user: str, way: str) -> None:
    """CVE-2016-3697: the image's passwd has a user *named* 1000 who is root."""
    etc = entry("etc/passwd", b"1000:x:0:0::/:/bin/sh\n01000:x:0:0::/:/bin/sh\n")
    settings = {"User": user} if way == "image" else {}
    groups = entry("etc/group", b"1000:x:0:\n01000:x:0:\n")
    image = load(pyctr, tmp_path, "numbers", directory("etc"), etc, groups, **settings)
    if way == "exec":
        pyctr("run", "-d", "--name", "box", image, "sleep", "60", check=True)
        done = pyctr("exec", "-u", user, "box", "id")
    else:
        flags = ["-u", user] if way == "flag" else []
        done = pyctr("run", "--rm", *flags, image, "id")
    group = "gid=1000" if ":" in user else "gid=0"
    assert done.stdout.startswith(f"uid=1000 {group}"), done.stderr
    assert ":" not in user or "groups=1000" in done.stdout, "root's group is not kept"


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "named in passwd"])
@pytest.mark.parametrize("way", ["flag", "image", "exec"])
def test_a_user_number_that_is_too_large_is_refused(pyctr: Pyctr, tmp_path: Path, known: bool, way: str) -> None:
    """CVE-2024-40635 (the number wraps to 0) and CVE-2026-46680 (it is then looked up as a name of root)."""
    users = ["4294967296", "4294967296:0", "1000:4294967296", "2147483648", "1" * 5000, "4294967295", "\u0663"]
    names = {user.partition(":")[0] for user in users} - {"1000"} if known else set()
    passwd = "".join(f"{name}:x:0:0::/:/bin/sh\nme:x:{name}:{name}::/:/bin/sh\n" for name in names)
    groups = entry("etc/group", b"4294967296:x:0:\n" if known else b"")
    files = (directory("etc"), entry("etc/passwd", passwd.encode()), groups)
    image = load(pyctr, tmp_path, "large", *files)
    if way == "exec":
        pyctr("run", "-d", "--name", "box", image, "sleep", "60", check=True)
    for user in [*users, *(["me"] if known else ["-1"])]:
        if way == "image":
            image = load(pyctr, tmp_path, "large", *files, User=user)
        if known and user == "\u0663":
            continue  # not a number, so a name
        args = ["exec", "-u", user, "box"] if way == "exec" else ["run", "--rm", "-u", user, image]
        done = pyctr(*(["run", "--rm", image] if way == "image" else args), "id")
        assert (done.returncode in (1, 125, 126), done.stdout) == (True, ""), user
        assert len(done.stderr.splitlines()) <= 2, done.stderr


@pytest.mark.parametrize(("user", "ids"), [("1", "1 0"), ("1:1", "1 1"), ("1:0", "1 0"), ("65534", "65534 0")])
def test_exec_runs_as_the_given_user(pyctr: Pyctr, user: str, ids: str) -> None:
    """CVE-2026-30892: `exec -u 1` ran as user 0."""
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "60", check=True)
    pyctr("exec", "box", "rm", "-f", "/etc/passwd", check=True)
    assert pyctr("exec", "-u", user, "box", "sh", "-c", "echo $(id -u) $(id -g)").stdout.strip() == ids


@pytest.mark.parametrize("way", ["run", "exec", "run by number"])
def test_a_set_group_id_program_keeps_the_primary_group(pyctr: Pyctr, tmp_path: Path, way: str) -> None:
    """CVE-2022-36109, -2989, -2990, 2023-25173: a set-group-ID program dropped a group that a file excludes."""
    accounts = entry("etc/passwd", b"me:x:1000:1000::/:/bin/sh\n"), entry("etc/group", b"mine:x:1000:\n")
    secret = entry("secret", b"secret", uid=0, gid=1000, mode=0o604)
    tool = entry("tool", Path("/usr/bin/cat").read_bytes(), mode=0o2755, gid=77)
    image = load(pyctr, tmp_path, "groups", directory("etc"), *accounts, secret, tool)
    args = ["/tool", "/secret"]
    if way == "exec":
        pyctr("run", "-d", "--name", "box", *PERL_MOUNTS, image, "/bin/sleep", "60", check=True)
        done = pyctr("exec", "-u", "me", "box", *args)
        other = pyctr("exec", "-u", "2000:2000", "box", *args)
    else:
        user = "1000:1000" if way == "run by number" else "me"
        done = pyctr("run", "--rm", "-u", user, *PERL_MOUNTS, image, *args)
        other = pyctr("run", "--rm", "-u", "2000:2000", *PERL_MOUNTS, image, *args)
    assert (done.stdout, "Permission denied" in done.stderr) == ("", True)
    assert other.stdout == "secret", "a user outside the group can read it"


@pytest.mark.parametrize("flags", [[], ["--cap-add", "ALL"], ["--privileged"]])
def test_a_user_other_than_root_has_no_capabilities(pyctr: Pyctr, flags: list[str]) -> None:
    """CVE-2016-8867 and CVE-2018-10856: a user other than root got the capabilities of the bounding set, too."""
    script = "grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status; cat /root/secret; chown 5 /etc/passwd"
    make = "mkdir -p /root; echo secret >/root/secret; chmod 600 /root/secret; sleep 60"
    pyctr("run", "-d", "--name", "box", *flags, "busybox", "sh", "-c", make, check=True)
    while pyctr("exec", "box", "test", "-s", "/root/secret").returncode:
        time.sleep(0.02)
    done = [pyctr("exec", "-u", "1000", "box", "sh", "-c", script)]
    if not flags:
        done.append(pyctr("exec", "--privileged", "-u", "1000", "box", "sh", "-c", script))
    done.append(pyctr("run", "--rm", "-u", "1000", *flags, "busybox", "sh", "-c", script))
    for each in done:
        sets = [line.split()[1] for line in each.stdout.splitlines() if line.startswith("Cap")]
        assert sets == ["0" * 16] * 4
        assert "secret\n" not in each.stdout
        assert "Operation not permitted" in each.stderr


@pytest.mark.parametrize("user", ["0", "1000"])
def test_no_capability_is_inheritable(pyctr: Pyctr, tmp_path: Path, user: str) -> None:
    """CVE-2022-24769, -27649, -27650, -27651, -29162: a file's inheritable capabilities raised its user's."""

    def tool(name: str, permitted: int, inheritable: int):  # type: ignore[no-untyped-def]
        value = struct.pack("<IIIII", 0x02000001, permitted, inheritable, 0, 0)
        headers = {"SCHILY.xattr.security.capability": value.decode("latin-1")}
        return entry(f"{name}/grep", Path("/bin/busybox").read_bytes(), mode=0o755, pax_headers=headers)

    files = directory("inh"), directory("prm"), tool("inh", 0, NET_RAW), tool("prm", NET_RAW, 0)
    image = load(pyctr, tmp_path, "inherits", *files)
    pyctr("run", "-d", "--name", "box", "-u", user, image, "sleep", "60", check=True)
    for start in (["exec", "box"], ["run", "--rm", "-u", user, image]):
        sets = pyctr(*start, "/inh/grep", "-E", "Cap(Inh|Prm)", "/proc/self/status", check=True).stdout.split()
        assert int(sets[1], 16) == 0, "nothing is inheritable"
        if user != "0":
            assert int(sets[3], 16) == 0
            got = pyctr(*start, "/prm/grep", "CapPrm", "/proc/self/status", check=True).stdout.split()
            assert int(got[1], 16) == NET_RAW, "the permitted capabilities of a file are given"


@pytest.mark.parametrize("flags", [[], ["--userns", "auto"]])
@pytest.mark.parametrize(
    "kind", ["a FIFO", "a link to the host's FIFO", "a link to a file of the host", "a device"]
)
def test_accounts_are_read_only_from_a_regular_file_inside_the_image(
    pyctr: Pyctr, tmp_path: Path, kind: str, flags: list[str]
) -> None:
    """CVE-2024-9676: /etc/passwd is a link to a FIFO of the host, on which the engine waits for ever."""
    os.chmod(tmp_path, 0o755)
    fifo, outside = tmp_path / "fifo", tmp_path / "passwd"
    os.mkfifo(fifo)
    outside.write_text("me:x:4242:4242::/:/bin/sh\n")
    made = {
        "a FIFO": entry("etc/passwd", type=b"6"),
        "a link to the host's FIFO": symlink("etc/passwd", f"{UP}{fifo}"),
        "a link to a file of the host": symlink("etc/passwd", f"{UP}{outside}"),
        "a device": entry("etc/passwd", type=b"3", devmajor=1, devminor=5),  # /dev/zero
    }[kind]
    image = load(pyctr, tmp_path, "fifo", directory("etc"), made)
    done = pyctr("run", "--rm", *flags, "-u", "me", image, "id", timeout=20)
    assert (done.returncode, done.stdout) == (125, "")
    assert "unable to find user me" in done.stderr
    assert pyctr("run", "--rm", *flags, image, "/bin/echo", "up", timeout=20).stdout == "up\n"


def test_a_leased_account_file_does_not_delay_an_exec(pyctr: Pyctr) -> None:
    """The container could hold each exec for 45 s, in which the engine would use up a processor."""
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "1000", check=True)
    pid = pyctr("inspect", "-f", "{{.State.Pid}}", "box", check=True).stdout.strip()
    with leased(Path(f"/proc/{pid}/root/etc/passwd")):
        began = time.monotonic()
        pyctr("exec", "-u", "7", "box", "true", check=True)
        assert "unable to find user root" in pyctr("exec", "-u", "root", "box", "true").stderr
        assert time.monotonic() - began < 10 * SLOWNESS


@pytest.mark.parametrize("name", ["group", "passwd"])
def test_a_huge_account_file_takes_little_memory(pyctr: Pyctr, tmp_path: Path, name: str) -> None:
    """CVE-2026-47262 (and CVE-2025-4437 of cri-o): account files of any size were read into memory."""
    row = b"x:x:7:a,b,c,d,e,f,g\n" if name == "group" else b"x:x:7:7:x:/:/bin/sh\n"
    image = load(pyctr, tmp_path, "large", directory("etc"), entry(f"etc/{name}", row * (64 << 20 >> 4)))
    pyctr("run", "-d", "--name", "box", image, "sleep", "60", check=True)
    limit = ["prlimit", f"--data={96 << 20}"]
    for args in (["run", "--rm", "-u", "7", image, "/bin/true"], ["exec", "-u", "7", "box", "/bin/true"]):
        began = time.monotonic()
        done = subprocess.run([*limit, *pyctr.command(*args)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert time.monotonic() - began < 10 * SLOWNESS
