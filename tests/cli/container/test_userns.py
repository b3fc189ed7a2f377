"""`--userns auto`: root inside is an unprivileged user outside, and files on disk keep the ids seen inside."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from pyctr_lite.engine.creation import user_namespace
from pyctr_lite.errors import Conflict
from tests.conftest import Pyctr

USERNS = ("--userns", "auto")
FIRST = 2**31
LIST = "ls -ln /new | tr -s ' ' | cut -d' ' -f3,4"


def run(pyctr: Pyctr, *args: str | Path) -> str:
    return pyctr("run", "--rm", *USERNS, "busybox", *args, check=True).stdout


def detached(pyctr: Pyctr, name: str, *flags: str | Path) -> int:
    """Run a container that sleeps. Returns its pid."""
    pyctr("run", "-d", "--name", name, *USERNS, *flags, "busybox", "sleep", "1000", check=True)
    return int(inspect(pyctr, name)["State"]["Pid"])


def inspect(pyctr: Pyctr, name: str) -> Any:
    return json.loads(pyctr("inspect", name, check=True).stdout)[0]


def fails(pyctr: Pyctr, *args: str) -> str:
    done = pyctr(*args)
    assert done.returncode == 125, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr


def upper(pyctr: Pyctr, name: str) -> Path:
    return Path(inspect(pyctr, name)["GraphDriver"]["Data"]["UpperDir"])


def test_root_inside_is_an_unprivileged_user_outside(pyctr: Pyctr) -> None:
    assert run(pyctr, "sh", "-c", "id -u; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups") == (
        f"0\n{0:10} {FIRST:10} {65536:10}\n{0:10} {FIRST:10} {65536:10}\nallow\n"
    )
    pid = detached(pyctr, "box")
    assert (os.stat(f"/proc/{pid}").st_uid, os.stat(f"/proc/{pid}").st_gid) == (FIRST, FIRST)
    assert os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user")


def test_without_userns_the_user_namespace_is_the_hosts(pyctr: Pyctr) -> None:
    link = os.readlink("/proc/self/ns/user")
    for flags in ([], ["--userns", "host"]):
        assert pyctr("run", "--rm", *flags, "busybox", "readlink", "/proc/self/ns/user").stdout == f"{link}\n"


def test_a_file_has_its_ids_on_disk_and_those_of_the_range_through_its_process(pyctr: Pyctr) -> None:
    pid = detached(pyctr, "box")
    assert pyctr("exec", "box", "sh", "-c", f"touch /new; chown 5:6 /new; {LIST}", check=True).stdout == "5 6\n"
    on_disk, seen = (upper(pyctr, "box") / "new").stat(), os.stat(f"/proc/{pid}/root/new")
    assert (on_disk.st_uid, on_disk.st_gid) == (5, 6)
    assert (seen.st_uid, seen.st_gid) == (FIRST + 5, FIRST + 6)


def test_the_layers_and_the_engines_bind_mounts_belong_to_root_inside(pyctr: Pyctr) -> None:
    names = (
        "/ /bin/busybox /etc/passwd /etc/hosts /etc/hostname /etc/resolv.conf /dev /dev/pts /dev/shm /dev/mqueue"
    )
    assert set(run(pyctr, "stat", "-c", "%u %g", *names.split()).split("\n")) == {"0 0", ""}
    script = (
        "echo 127.0.0.9 x >>/etc/hosts && mknod /tmp/pipe p && echo x >/dev/null && head -c1 /dev/zero | wc -c"
    )
    assert run(pyctr, "sh", "-c", script) == "1\n"
    assert "ermitted" in pyctr("run", "--rm", *USERNS, "busybox", "mknod", "/dev/mine", "c", "1", "3").stderr


SCRIPT = (
    "echo x >/etc/new; mkdir -p /d/e; chown 5:6 /d; chmod 1777 /d; ln /etc/new /d/e/link; rm /bin/ls; "
    "mkdir /var/x; rm -r /var; mkdir /var; cp /bin/busybox /d/b; chown 7 /d/b; chmod 4755 /d/b; "
    "mv /home /h; touch -t 202001010101 /etc/new /d/* /d/e /d /etc /bin /var /h /"
)


def test_a_commit_is_the_same_as_without_a_user_namespace(pyctr: Pyctr) -> None:
    layers = []
    for name, flags in (("mapped", USERNS), ("plain", ())):
        pyctr("run", "--name", name, *flags, "busybox", "sh", "-c", SCRIPT, check=True)
        pyctr("commit", name, f"{name}:1", check=True)
        layers.append(json.loads(pyctr("inspect", f"{name}:1", check=True).stdout)[0]["RootFS"]["Layers"][-1])
    assert layers[0] == layers[1]
    assert pyctr("diff", "mapped").stdout == pyctr("diff", "plain").stdout != ""
    assert run_of(pyctr, "mapped:1", "stat", "-c", "%u:%g %a", "/d", "/d/b") == "5:6 1777\n7:0 4755\n"


def run_of(pyctr: Pyctr, image: str, *args: str) -> str:
    return pyctr("run", "--rm", *USERNS, image, *args, check=True).stdout


@pytest.mark.parametrize("flags", [(), ("--read-only",), ("--init",), ("--net", "none"), ("--cap-drop", "ALL")])
def test_userns_auto_works_with_other_flags(pyctr: Pyctr, flags: tuple[str, ...]) -> None:
    script = "id -u; touch /new 2>/dev/null; echo $?; touch /dev/shm/x; read comm </proc/1/comm; echo $comm"
    out = pyctr("run", "--rm", *USERNS, *flags, "busybox", "sh", "-c", script, check=True).stdout.split()
    assert out == ["0", "1" if flags == ("--read-only",) else "0", "docker-init" if "--init" in flags else "sh"]


def test_an_unprivileged_user_a_tmpfs_and_a_terminal_work(pyctr: Pyctr) -> None:
    flags = ("-u", "1000:1001", "--group-add", "5", "--tmpfs", "/t:uid=1000,mode=700")
    script = "id; touch /t/x && stat -c %u /t /t/x; echo out >/dev/stdout; touch /new"
    done = pyctr("run", "--rm", *USERNS, *flags, "busybox", "sh", "-c", script)
    assert done.stdout == "uid=1000 gid=1001 groups=5(tty),1001\n1000\n1000\nout\n"
    assert "ermission denied" in done.stderr
    tty = pyctr("run", "--rm", "-t", *USERNS, "busybox", "sh", "-c", "tty; stat -c '%u %g' $(tty) /dev/console")
    assert tty.stdout == "/dev/pts/0\n0 5\n0 5\n"


def test_a_user_without_a_host_id_is_refused(pyctr: Pyctr) -> None:
    args = ("run", "--userns", "auto:size=1000", "-u", "1000", "busybox", "true")
    assert "id 1000 of the container's user has no host id" in fails(pyctr, *args)
    assert pyctr("run", "--rm", "--userns", "auto:size=1001", *args[3:]).returncode == 0
    assert pyctr("run", "--rm", "-t", "--userns", "auto:size=1", "busybox", "tty").stdout == "/dev/pts/0\n"
    assert pyctr("ps", "-aq").stdout == ""


def test_exec_runs_in_the_same_user_namespace(pyctr: Pyctr) -> None:
    pid = detached(pyctr, "box")
    link = os.readlink(f"/proc/{pid}/ns/user")
    assert pyctr("exec", "box", "readlink", "/proc/self/ns/user").stdout == f"{link}\n"
    assert pyctr("exec", "box", "stat", "-c", "%u", "/proc/self/").stdout == "0\n"
    assert pyctr("exec", "-u", "1000", "box", "sh", "-c", "id -u >/dev/stdout").stdout == "1000\n"
    assert pyctr("exec", "-t", "box", "sh", "-c", "stat -c '%u %g' $(tty)").stdout == "0 5\n"
    assert pyctr("exec", "-d", "box", "touch", "/detached", check=True).returncode == 0
    assert "no id in the container's user namespace" in pyctr("exec", "-u", "70000", "box", "id").stderr


def test_capabilities_hold_in_the_containers_own_user_namespace(pyctr: Pyctr) -> None:
    status = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status"
    plain = pyctr("run", "--rm", "busybox", "sh", "-c", status, check=True).stdout
    assert run(pyctr, "sh", "-c", status) == plain
    pyctr("run", "-d", "--name", "box", *USERNS, "busybox", "sleep", "1000", check=True)
    assert pyctr("exec", "box", "sh", "-c", status).stdout == plain
    assert run(pyctr, "sh", "-c", "cat /proc/kcore /proc/timer_list | wc -c; ls /sys/firmware; hostname") != ""


def test_a_device_is_the_hosts_own_under_any_name(pyctr: Pyctr) -> None:
    flags = ("--device", "/dev/zero:/dev/nothing")
    assert run_with(
        pyctr, flags, "sh", "-c", "head -c 2 /dev/nothing | od -An -tx1; stat -c %t:%T /dev/nothing"
    ) == (" 00 00\n1:5\n")


# --- ranges -----------------------------------------------------------------------------------------------


def range_of(pyctr: Pyctr, name: str) -> tuple[int, int]:
    directory = Path(inspect(pyctr, name)["Bundle"])
    linux = json.loads((directory / "config.json").read_text())["linux"]
    assert linux["uidMappings"] == linux["gidMappings"]
    (mapping,) = linux["uidMappings"]
    assert mapping["containerID"] == 0
    return mapping["hostID"], mapping["size"]


def test_each_container_has_its_own_host_ids_and_keeps_them(pyctr: Pyctr) -> None:
    for name in ("one", "two"):
        pyctr("create", "--name", name, *USERNS, "busybox", "cat", "/proc/self/uid_map", check=True)
    pyctr("create", "--name", "small", "--userns", "auto:size=10", "busybox", check=True)
    assert range_of(pyctr, "one") == (FIRST, 65536)
    assert range_of(pyctr, "two") == (FIRST + 65536, 65536)
    assert range_of(pyctr, "small") == (FIRST + 2 * 65536, 10)
    pyctr("rm", "one", check=True)
    pyctr("create", "--name", "three", *USERNS, "busybox", check=True)
    assert range_of(pyctr, "three")[0] == FIRST  # the lowest free range
    for _ in range(2):
        assert pyctr("start", "-a", "two", check=True).stdout.split() == ["0", str(FIRST + 65536), "65536"]


def test_two_containers_created_at_once_have_different_ranges(pyctr: Pyctr) -> None:
    args = pyctr.command("create", *USERNS, "busybox")
    makers = [subprocess.Popen(args, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    ids = [maker.communicate()[0].strip() for maker in makers]
    assert len({range_of(pyctr, id)[0] for id in ids}) == 6


def test_a_container_without_a_free_range_is_refused_and_leaves_nothing(pyctr: Pyctr) -> None:
    args = ("--userns", f"auto:size={2**31 - 1}", "-v", "/anonymous", "busybox", "cat", "/proc/self/uid_map")
    out = pyctr("run", "--name", "all", *args, check=True).stdout
    assert out.split() == ["0", str(FIRST), str(2**31 - 1)]
    assert "no free range of 65536 consecutive host ids" in fails(pyctr, "run", *USERNS, "-v", "/x", "busybox")
    assert len(pyctr("ps", "-aq").stdout.split()) == len(pyctr("volume", "ls", "-q").stdout.split()) == 1
    assert len(list((pyctr.root / "containers").iterdir())) == 1


def test_the_ranges_are_those_of_the_user_named_containers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = {
        "/etc/subuid": "me:100000:65536\ncontainers:1000000:200000\n",
        "/etc/subgid": "containers:1050000:9\n",
    }
    for path, text in lines.items():
        (tmp_path / path[5:]).write_text(text)
    found = {path: user_namespace._subordinate(str(tmp_path / path[5:])) for path in lines}
    assert found["/etc/subuid"] == [(1000000, 1200000)]
    monkeypatch.setattr(user_namespace, "_subordinate", found.__getitem__)
    assert user_namespace._free([], 4) == [1050000, 4]
    assert user_namespace._free([[1050000, 4]], 5) == [1050004, 5]
    with pytest.raises(Conflict, match="no free range of 6 consecutive host ids"):
        user_namespace._free([[1050000, 4]], 6)
    monkeypatch.setattr(user_namespace, "_subordinate", lambda path: [])
    assert user_namespace._free([[FIRST + 5, 10]], 5) == [FIRST, 5]
    assert user_namespace._free([[FIRST + 5, 10]], 6) == [FIRST + 15, 6]
    assert user_namespace._free([], 2**31 - 1) == [FIRST, 2**31 - 1]
    with pytest.raises(Conflict):
        user_namespace._free([[FIRST, 1]], 2**31 - 1)


# --- errors and inspection -----------------------------------------------------------------------------


def test_an_unsupported_userns_is_refused_in_one_line(pyctr: Pyctr) -> None:
    for mode in ("keep-id", "auto:size=", "auto:5", "container:"):
        error = fails(pyctr, "run", "--userns", mode, "busybox", "true")
        assert f"invalid userns mode: {mode}" in error
        assert "--userns takes host, auto, auto:size=N, container:ID" in error
    for size in ("0", "x", "-1", str(2**31)):
        assert "invalid userns mode: auto:size=" in fails(pyctr, "run", f"--userns=auto:size={size}", "busybox")
    args = ("run", *USERNS, "--privileged", "busybox", "true")
    assert "privileged mode is incompatible with user namespaces" in fails(pyctr, *args)
    for flag, name in (("network", "network"), ("pid", "PID"), ("ipc", "IPC")):
        error = fails(pyctr, "run", *USERNS, f"--{flag}", "host", "busybox", "true")
        assert f"cannot share the host's {name} namespace when user namespaces are enabled" in error
    error = fails(pyctr, "run", *USERNS, "-v", "/tmp:/x:rshared", "busybox", "true")
    assert "rslave propagates the host's mounts into the container" in error or "is not a shared mount" in error
    assert pyctr("ps", "-aq").stdout == ""


def test_namespaces_are_shared_only_within_one_user_namespace(pyctr: Pyctr) -> None:
    pid = detached(pyctr, "box")
    pyctr("run", "-d", "--name", "plain", "busybox", "sleep", "1000", check=True)
    for flag in ("net", "pid", "ipc", "uts"):
        for name in ("box", "plain"):
            error = fails(pyctr, "run", *USERNS, f"--{flag}", f"container:{name}", "busybox", "true")
            assert f"namespace of container {name}: it belongs to another user namespace" in error
        shared = ("--userns", "container:box", f"--{flag}", "container:box")
        args = ("sh", "-c", f"cd /proc/self/ns; readlink user; readlink {flag}; id -u; touch /new; {LIST}")
        links = [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("user", flag)]
        out = pyctr("run", "--rm", *shared, "busybox", *args, check=True).stdout
        assert out.split("\n") == [*links, "0", "0 0", ""]
    assert "plain has no user namespace" in fails(pyctr, "run", "--userns", "container:plain", "busybox")
    assert pyctr("run", "--rm", "--net", "container:box", "busybox", "id", "-u").stdout == "0\n"


def test_inspect_and_explain_show_the_user_namespace(pyctr: Pyctr) -> None:
    narrated = pyctr("run", "--name", "box", "--explain", *USERNS, "busybox", "true", check=True).stderr
    for step in ("CLONE_NEWUSER", "uid_map", "set=MOUNT_ATTR_IDMAP", f"setfsuid({FIRST})", 'mount("overlay"'):
        assert step in narrated
    assert inspect(pyctr, "box")["HostConfig"]["UsernsMode"] == "auto"
    assert inspect(pyctr, "box")["HostConfig"]["IDMappings"] == {
        "UidMap": [f"0:{FIRST}:65536"], "GidMap": [f"0:{FIRST}:65536"]
    }  # fmt: skip
    pyctr("run", "--name", "plain", "busybox", "true", check=True)
    assert inspect(pyctr, "plain")["HostConfig"]["UsernsMode"] == ""


# --- volumes and binds ------------------------------------------------------------------------------------


def test_a_volume_on_disk_has_the_ids_seen_inside(pyctr: Pyctr) -> None:
    run_with(pyctr, ("-v", "data:/root"), "sh", "-c", "touch /root/new; chown 5:6 /root/new")
    mountpoint = Path(pyctr("volume", "inspect", "--format", "{{.Mountpoint}}", "data").stdout.strip())
    assert (mountpoint.stat().st_uid, (mountpoint / "new").stat().st_uid, (mountpoint / "new").stat().st_gid) == (
        0,
        5,
        6,
    )
    args = ("-v", "data:/d", "busybox", "stat", "-c", "%u %g", "/d", "/d/new")
    for flags in ((), USERNS):
        assert pyctr("run", "--rm", *flags, *args, check=True).stdout == "0 0\n5 6\n"
    assert "ead-only" in pyctr("run", "--rm", *USERNS, "-v", "data:/d:ro", "busybox", "touch", "/d/x").stderr
    assert (
        run_with(
            pyctr,
            (
                "-v",
                "/var/spool",
            ),
            "sh",
            "-c",
            "touch /var/spool/x; stat -c %u /var/spool/x",
        )
        == "0\n"
    )


def run_with(pyctr: Pyctr, flags: tuple[str, ...], *args: str) -> str:
    return pyctr("run", "--rm", *USERNS, *flags, "busybox", *args, check=True).stdout


def test_a_new_volume_is_filled_with_the_images_owners(pyctr: Pyctr) -> None:
    script = "mkdir -p /srv/d; touch /srv/d/f; chown -R 7:8 /srv"
    pyctr("run", "--name", "maker", "busybox", "sh", "-c", script, check=True)
    pyctr("commit", "maker", "owned", check=True)
    args = ("stat", "-c", "%u:%g", "/srv", "/srv/d/f")
    out = pyctr("run", "--rm", *USERNS, "-v", "data:/srv", "owned", *args, check=True).stdout
    assert out == "7:8\n7:8\n"


def test_files_of_the_host_belong_to_nobody_inside(pyctr: Pyctr, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "open").write_text("y")
    tmp_path.chmod(0o755)
    flags = ("-v", f"{tmp_path}:/x")
    script = "stat -c %u /x/secret; cat /x/open /x/secret; touch /x/new; rm -f /x/secret"
    done = pyctr("run", "--rm", *USERNS, *flags, "busybox", "sh", "-c", script)
    assert (done.stdout, done.stderr.count("ermission denied")) == ("65534\ny", 3)
    assert pyctr("run", "--rm", *flags, "busybox", "cat", "/x/secret").stdout == "x"
    device = (
        "--mount",
        f"type=volume,source=here,target=/x,volume-opt=type=none,volume-opt=o=bind,volume-opt=device={tmp_path}",
    )
    assert run_with(pyctr, device, "stat", "-c", "%u", "/x/open") == "65534\n"
    assert (tmp_path / "secret").read_text() == "x"


def test_files_of_the_host_keep_their_ids_with_idmap(pyctr: Pyctr, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "d/secret").write_text("x")
    for flags in (("-v", f"{tmp_path}/d:/x:idmap"), ("--mount", f"type=bind,src={tmp_path}/d,dst=/x,idmap")):
        assert run_with(pyctr, flags, "sh", "-c", "cat /x/secret; stat -c %u /x; touch /x/new") == "x0\n"
        assert (tmp_path / "d/new").stat().st_uid == 0
        (tmp_path / "d/new").unlink()
    plain = ("-v", f"{tmp_path}/d:/x:ro,idmap", "busybox", "cat", "/x/secret")
    assert pyctr("run", "--rm", *plain, check=True).stdout == "x"  # without a user namespace ids are not mapped
    assert "ead-only" in pyctr("run", "--rm", *USERNS, *plain[:3], "touch", "/x/new").stderr
    error = fails(pyctr, "run", *USERNS, "-v", "/proc/sys:/x:idmap", "busybox", "true")
    assert "the ids of /proc/sys cannot be mapped: proc does not support idmapped mounts here" in error
    pyctr("rm", *pyctr("ps", "-aq").stdout.split())


# --- escapes ---------------------------------------------------------------------------------------------


def test_a_setuid_file_of_root_inside_gives_no_privileges_on_the_host(pyctr: Pyctr, tmp_path: Path) -> None:
    """On disk the file is root's, so no unprivileged user may reach it, by the disk or by the process."""
    pid = detached(pyctr, "box", "-v", "data:/d")
    script = "for path in /root-shell /d/root-shell; do cp /bin/busybox $path; chmod 6755 $path; done"
    pyctr("exec", "box", "sh", "-c", script, check=True)
    volume = pyctr("volume", "inspect", "--format", "{{.Mountpoint}}", "data").stdout.strip()
    copies = [
        upper(pyctr, "box") / "root-shell",
        Path(volume) / "root-shell",
        Path(f"/proc/{pid}/root/root-shell"),
    ]
    top = pyctr.root
    while top != top.parent:  # the permissions of the test's own directories must not decide this test
        if top.stat().st_mode & 0o5 != 0o5:
            subprocess.run(["chmod", "o+rx", top], check=True)
        top = top.parent
    subprocess.run(["cp", copies[0], tmp_path / "busybox"], check=True)
    identity = {"user": 1234, "group": 1234, "extra_groups": []}
    assert subprocess.run([tmp_path / "busybox", "id"], **identity, capture_output=True).returncode == 0
    for path in copies:
        assert path.stat().st_mode & 0o6000
        with pytest.raises(PermissionError):
            subprocess.run([path, "id"], **identity)


def test_a_setuid_file_of_the_host_gives_no_privileges_to_root_inside(pyctr: Pyctr, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    subprocess.run(["cp", "/bin/busybox", tmp_path / "busybox"], check=True)
    (tmp_path / "busybox").chmod(0o4755)  # its owner is nobody inside, so the kernel ignores the bit
    script = "grep ^Uid: /proc/self/status | tr '\\t' ' '"
    assert run_with(pyctr, ("-v", f"{tmp_path}:/x"), "/x/busybox", "sh", "-c", script) == "Uid: 0 0 0 0\n"


def test_mounts_inside_do_not_affect_the_host(pyctr: Pyctr, tmp_path: Path) -> None:
    unconfined = ("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined")
    script = "mount -t tmpfs t /mnt && echo mounted; umount /mnt"
    mounted = ("sh", "-c", "mkdir /mnt; " + script)
    assert run_with(pyctr, unconfined, *mounted) == "mounted\n"  # it is root in its own mount namespace
    assert pyctr("run", "--rm", *USERNS, "busybox", *mounted).stdout == ""
    for arguments in ("-t proc p /mnt", "-t sysfs s /mnt", "-t ext4 /dev/vda /mnt", "-t devtmpfs d /mnt"):
        args = ("sh", "-c", f"mkdir /mnt; mount {arguments}; ls /mnt/[0-9]* -d 2>/dev/null | wc -l")
        plain, admin = (pyctr("run", "--rm", *USERNS, *flags, "busybox", *args) for flags in ((), unconfined))
        assert (plain.stdout, "mount:" in plain.stderr) == ("0\n", True)
        if "dev" in arguments:
            assert "mount:" in admin.stderr
        assert int(admin.stdout) < 5  # its own /proc shows only its own processes
    # Whatever it unmounts, the mount below is its own and never the host's.
    script = "umount -l /proc/timer_list; umount -l /sys /etc/hosts; ls -d /var/lib/pyctr_lite /home/* 2>/dev/null"
    assert run_with(pyctr, unconfined, "sh", "-c", f"{script}; true") == ""
    assert str(pyctr.root) not in Path("/proc/self/mountinfo").read_text()


def test_a_nested_user_namespace_gains_nothing(pyctr: Pyctr) -> None:
    flags = ("--security-opt", "seccomp=unconfined")
    assert run_with(pyctr, flags, "unshare", "-Ur", "cat", "/proc/self/uid_map").split() == ["0", "0", "1"]


# --- lifecycle -------------------------------------------------------------------------------------------


def test_a_container_with_a_user_namespace_has_the_usual_lifecycle(pyctr: Pyctr) -> None:
    health = ("--health-cmd", "id -u", "--health-interval", "100ms")
    detached(pyctr, "box", "--restart", "on-failure:2", "-m", "64m", *health)
    pyctr("pause", "box", check=True)
    pyctr("unpause", "box", check=True)
    assert pyctr("stats", "--no-stream", "--format", "{{.Name}}", "box").stdout == "box\n"
    assert str(FIRST) in pyctr("top", "box", check=True).stdout
    pyctr("restart", "-t", "0", "box", check=True)
    assert pyctr("exec", "box", "cat", "/proc/self/uid_map").stdout.split() == ["0", str(FIRST), "65536"]
    pyctr("stop", "-t", "0", "box", check=True)
    pyctr("rm", "box", check=True)
    code = pyctr("run", "--name", "fails", "--restart", "on-failure:1", *USERNS, "busybox", "sh", "-c", "exit 3")
    assert (code.returncode, pyctr("wait", "fails").stdout) == (3, "3\n")


def test_cp_uses_the_ids_seen_inside(pyctr: Pyctr, tmp_path: Path) -> None:
    detached(pyctr, "box")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").write_text("x")
    os.chown(tmp_path / "d/file", 7, 8)
    pyctr("cp", tmp_path / "d", "box:/plain", check=True)
    pyctr("cp", "-a", tmp_path / "d", "box:/kept", check=True)
    names = ("stat", "-c", "%u %g", "/plain", "/plain/file", "/kept/file")
    assert pyctr("exec", "box", *names, check=True).stdout == "0 0\n0 0\n7 8\n"
    assert (upper(pyctr, "box") / "kept/file").stat().st_uid == 7
    for running in (True, False):
        out = subprocess.run(pyctr.command("cp", "box:/kept", "-"), capture_output=True, check=True).stdout
        with tarfile.open(fileobj=BytesIO(out)) as archive:
            assert (archive.getmember("kept/file").uid, archive.getmember("kept/file").gid) == (7, 8)
        whole = subprocess.run(pyctr.command("export", "box"), capture_output=True, check=True).stdout
        with tarfile.open(fileobj=BytesIO(whole)) as archive:
            assert archive.getmember("bin/busybox").uid == 0
        pyctr("cp", "-a", "box:/kept/file", tmp_path / f"back-{running}", check=True)
        assert (tmp_path / f"back-{running}").stat().st_uid == 7
        pyctr("stop", "-t", "0", "box", check=True)
    os.chown(tmp_path / "d/file", 70000, 8)
    pyctr("start", "box", check=True)
    error = pyctr("cp", "-a", tmp_path / "d", "box:/far").stderr
    assert "d/file: id 70000 has no host id" in error or "file: id 70000 has no host id" in error


def test_file_capabilities_are_copied_as_they_are_on_disk(pyctr: Pyctr) -> None:
    """Outside, the kernel shows them with the root of the user namespace (version 3)."""
    pyctr("create", "--name", "box", *USERNS, "busybox", "sleep", "1000", check=True)
    held, name = bytes.fromhex("0100000200200000000000000000000000000000"), "security.capability"  # CAP_NET_RAW
    (upper(pyctr, "box") / "x").mkdir()
    (upper(pyctr, "box") / "x/busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (upper(pyctr, "box") / "x/busybox").chmod(0o755)
    os.setxattr(upper(pyctr, "box") / "x/busybox", name, held)
    pyctr("start", "box", check=True)
    args = ("/x/busybox", "grep", "CapEff", "/proc/self/status")
    assert pyctr("exec", "-u", "1000", "box", *args).stdout == "CapEff:\t0000000000002000\n"
    out = subprocess.run(pyctr.command("cp", "box:/x", "-"), capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(out)) as archive:
        kept = archive.getmember("x/busybox").pax_headers[f"SCHILY.xattr.{name}"]
    assert kept.encode(errors="surrogateescape") == held
    subprocess.run(pyctr.command("cp", "-a", "-", "box:/tmp"), input=out, check=True, capture_output=True)
    assert os.getxattr(upper(pyctr, "box") / "tmp/x/busybox", name) == held


def test_a_failed_start_can_be_repeated(pyctr: Pyctr) -> None:
    """After a failed mount, reported in one line, the next start works."""
    pyctr("create", "--name", "box", *USERNS, "-v", "data:/d", "busybox", "true", check=True)
    volume = Path(pyctr("volume", "inspect", "--format", "{{.Mountpoint}}", "data").stdout.strip())
    volume.rename(volume.with_name("away"))
    assert "cannot mount on /d" in fails_with(pyctr, "start", "box")
    volume.with_name("away").rename(volume)
    assert pyctr("start", "-a", "box").returncode == 0


def fails_with(pyctr: Pyctr, *args: str) -> str:
    done = pyctr(*args)
    assert done.returncode != 0
    return done.stderr
