"""The `linux` object and the mounts of a bundle: user and joined namespaces, sysctls, clocks, /dev, masks."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_lite.linux import mountinfo
from pyctr_lite.namespaces import idmap
from pyctr_lite.runtime import bundle, process
from tests.runtime.bundles import Box

USER = {"type": "user"}
MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]


@contextlib.contextmanager
def holder(*flags: str) -> Iterator[int]:
    """Start a process in new namespaces, and yield its pid."""
    command = ["unshare", *flags, "sh", "-c", "echo ready; read _"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process.pid
    finally:
        process.communicate(b"\n")


def in_user_namespace(box: Box) -> None:
    box.linux["namespaces"].append(USER)
    box.linux.update(uidMappings=MAPS, gidMappings=MAPS)
    subprocess.run(["chown", "-R", "-h", "100000:100000", box.rootfs], check=True)


def test_root_of_a_user_namespace_is_another_user_outside(box: Box) -> None:
    in_user_namespace(box)
    script = "id -u; cat /proc/self/uid_map | tr -s ' '; echo x >/new; ls -ln /new | tr -s ' ' | cut -d' ' -f3,4"
    assert box.shell(script) == "0\n 0 100000 65536\n0 0\n"
    made = (box.rootfs / "new").stat()
    assert (made.st_uid, made.st_gid) == (100000, 100000)


def test_root_without_a_user_namespace_is_root_outside(box: Box) -> None:
    assert box.shell("id -u; echo x >/new") == "0\n"
    assert (box.rootfs / "new").stat().st_uid == 0


def test_devices_a_terminal_and_a_user_work_in_a_user_namespace(box: Box) -> None:
    in_user_namespace(box)
    assert box.shell("echo x >/dev/null; head -c 2 /dev/zero | wc -c; ls -l /dev/full | cut -c1") == "2\nc\n"
    box.process["user"] = {"uid": 33, "gid": 34, "additionalGids": [35]}
    assert box.shell("id") == "uid=33 gid=34 groups=35\n"
    box.process["user"] = {"uid": 70000, "gid": 0}
    assert "70000:0 has no id" in box.fails("true")["message"]
    box.process["user"] = {"uid": 0, "gid": 0}
    assert box.run("tty", terminal=True).stdout == "/dev/pts/0\n"


def test_message_queues_belong_to_root_of_the_user_namespace(box: Box) -> None:
    in_user_namespace(box)
    assert box.shell("stat -c %u /dev/mqueue") == "0\n"


def test_a_bind_shows_the_ids_on_disk_only_with_idmap(box: Box, tmp_path: Path) -> None:
    in_user_namespace(box)
    for name in ("as_it_is", "mapped"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "of_seven").touch()
        os.chown(tmp_path / name / "of_seven", 7, 8)
        options = ["rbind", *(["idmap"] if name == "mapped" else [])]
        box.config["mounts"].append(
            {"destination": f"/{name}", "type": "bind", "source": str(tmp_path / name), "options": options}
        )
    script = "stat -c '%u %g' /as_it_is/of_seven /mapped/of_seven; touch /mapped/new"
    assert box.shell(script) == "65534 65534\n7 8\n"
    assert (tmp_path / "mapped/new").stat().st_uid == 0
    assert "ermission denied" in box.run("touch", "/as_it_is/new").stderr


def test_a_read_only_bind_is_read_only_in_a_user_namespace(box: Box, tmp_path: Path) -> None:
    in_user_namespace(box)
    (tmp_path / "data").mkdir()
    mount = {"destination": "/x", "type": "bind", "source": str(tmp_path / "data"), "options": ["ro", "idmap"]}
    box.config["mounts"].append(mount)
    assert "Read-only" in box.run("touch", "/x/new").stderr
    mount["options"] = ["rw", "idmap"]
    assert box.run("touch", "/x/new").returncode == 0


def test_layers_keep_their_ids_on_disk_in_a_user_namespace(box: Box, tmp_path: Path) -> None:
    box.linux["namespaces"].append(USER)
    box.linux.update(uidMappings=MAPS, gidMappings=MAPS)
    for name in ("upper", "work", "empty"):
        (tmp_path / name).mkdir()
    os.rename(box.rootfs, tmp_path / "lower")
    box.rootfs.mkdir()
    os.chown(tmp_path / "lower/tmp", 3, 4)
    (tmp_path / "lower/etc/file").touch()
    layers = {"lower": [str(tmp_path / name) for name in ("empty", "lower")]}
    layers |= {name: str(tmp_path / name) for name in ("upper", "work")}
    box.config["annotations"] = {bundle.OVERLAY_ANNOTATION: json.dumps(layers)}
    for held in ("bounding", "effective", "permitted"):
        box.process["capabilities"][held].append("CAP_CHOWN")
    script = "stat -c '%u %g' /tmp; rm /etc/file; touch /new; chown 5:6 /new; chown 9 /tmp"
    assert box.shell(script) == "3 4\n"
    found = {name: (tmp_path / "upper" / name).lstat() for name in ("new", "tmp", "etc", "etc/file")}
    assert {name: (item.st_uid, item.st_gid) for name, item in found.items()} == {
        "new": (5, 6), "tmp": (9, 4), "etc": (0, 0), "etc/file": (0, 0),
    }  # fmt: skip
    assert found["etc/file"].st_rdev == 0


def test_root_of_a_user_namespace_cannot_kill_a_host_process(box: Box) -> None:
    box.join("pid", None)
    with holder("--uts") as pid:
        assert box.run("kill", "-0", str(pid)).returncode == 0
        in_user_namespace(box)
        assert "not permitted" in box.run("kill", "-9", str(pid)).stderr


def test_a_device_that_the_host_lacks_is_refused_in_a_user_namespace(box: Box) -> None:
    in_user_namespace(box)
    box.linux["devices"] = [{"path": "/dev/none", "type": "c", "major": 249, "minor": 7777}]
    error = box.fails("true")
    assert ("mknod is not permitted in a user namespace" in error["message"], error["path"]) == (True, "/dev/none")


def test_a_file_system_without_idmapped_mounts_is_named(box: Box) -> None:
    in_user_namespace(box)
    bind = {"destination": "/x", "type": "bind", "source": "/proc/version", "options": ["bind", "idmap"]}
    box.config["mounts"].append(bind)
    error = box.fails("true")
    assert (
        error["message"] == "the ids of /proc/version cannot be mapped: proc does not support idmapped mounts here"
    )
    assert "--userns host" in error["hint"]


def test_hard_limits_are_raised_from_outside_a_user_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, now = [], {resource.RLIMIT_NOFILE: (10, 20), resource.RLIMIT_CORE: (0, -1), resource.RLIMIT_CPU: (1, 9)}

    def prlimit(pid: int, number: int, limits: tuple[int, int] | None = None) -> tuple[int, int]:
        if limits is not None:
            calls.append((pid, number, limits))
        return now[number]

    monkeypatch.setattr(resource, "prlimit", prlimit)
    limits = [("NOFILE", 30), ("CORE", 5), ("CPU", 2**64 - 1), ("NOFILE", 20)]
    spec = {"rlimits": [{"type": f"RLIMIT_{name}", "soft": 1, "hard": hard} for name, hard in limits]}
    process.raise_hard_limits(7, spec)
    assert calls == [(7, resource.RLIMIT_NOFILE, (10, 30)), (7, resource.RLIMIT_CPU, (1, -1))]


def test_a_host_file_is_not_readable_in_a_user_namespace(box: Box) -> None:
    in_user_namespace(box)
    secret = box.rootfs / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    assert "ermission denied" in box.run("cat", "/secret").stderr
    os.chown(secret, 100000, 100000)
    assert box.run("cat", "/secret").stdout == "x"


@pytest.mark.parametrize(
    ("kind", "flag", "name"), [("uts", "--uts", "uts"), ("network", "--net", "net"), ("ipc", "--ipc", "ipc")]
)
def test_a_namespace_is_joined_by_its_path(box: Box, kind: str, flag: str, name: str) -> None:
    del box.config["hostname"]
    with holder(flag) as pid:
        theirs = os.readlink(f"/proc/{pid}/ns/{name}")
        box.join(kind, f"/proc/{pid}/ns/{name}")
        assert box.run("readlink", f"/proc/self/ns/{name}").stdout.strip() == theirs
        box.linux["namespaces"][-1] = {"type": kind}
        assert box.run("readlink", f"/proc/self/ns/{name}").stdout.strip() != theirs


def test_a_pid_namespace_is_joined_by_its_path(box: Box) -> None:
    with holder("--pid", "--fork", "--kill-child") as unshare:
        pid = Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()[0]
        box.join("pid", f"/proc/{pid}/ns/pid")
        assert int(box.shell("echo $$")) > 1
    box.join("pid", None)
    box.linux["namespaces"].append({"type": "pid"})
    assert box.shell("echo $$") == "1\n"


def test_a_user_namespace_is_joined_and_owns_the_new_namespaces(box: Box) -> None:
    subprocess.run(["chown", "-R", "-h", "100000:100000", box.rootfs], check=True)
    with holder("--user") as pid:
        maps = [idmap.IdMap.from_oci(item) for item in MAPS]
        idmap.write_maps(pid, maps, maps)
        box.join("user", f"/proc/{pid}/ns/user")
        text = box.shell("id -u; cat /proc/self/uid_map | tr -s ' '; echo x >/new; mkdir /dev/mine")
        assert text == "0\n 0 100000 65536\n"
    assert (box.rootfs / "new").stat().st_uid == 100000


def test_a_missing_namespace_to_join_is_named(box: Box) -> None:
    box.join("network", "/no/such")
    error = box.fails("true")
    assert (error["class"], error["path"]) == ("FileNotFoundError", "/no/such")


def test_joining_a_namespace_of_another_kind_fails(box: Box) -> None:
    box.join("network", "/proc/self/ns/ipc")
    assert "setns" in box.fails("true")["message"]


def test_sysctls_are_the_containers_own(box: Box) -> None:
    before = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()
    box.linux["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "77", "kernel.shmmni": "99"}
    script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni"
    assert box.shell(script) == "77\n99\n"
    assert Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text() == before
    box.linux["sysctl"] = {"net.no.such": "1"}
    assert box.fails("true")["path"] == "/proc/sys/net/no/such"


def test_time_offsets_move_the_clocks(box: Box) -> None:
    box.linux["namespaces"].append({"type": "time"})
    box.linux["timeOffsets"] = {"boottime": {"secs": 864000, "nanosecs": 0}}
    ours = float(Path("/proc/uptime").read_text().split()[0])
    assert 863_000 < float(box.shell("cut -d' ' -f1 /proc/uptime")) - ours < 865_000
    del box.linux["timeOffsets"]
    assert float(box.shell("cut -d' ' -f1 /proc/uptime")) - ours < 1000


def test_an_exec_has_the_containers_clocks(box: Box) -> None:
    box.linux["namespaces"].append({"type": "time"})
    box.linux["timeOffsets"] = {"monotonic": {"secs": 7881, "nanosecs": 2718281}, "boottime": {"secs": 86400}}
    offsets = box.exec("cat /proc/self/timens_offsets").split()
    assert offsets == ["monotonic", "7881", "2718281", "boottime", "86400", "0"]
    with holder("--time", "--boottime", "5000") as pid:
        box.join("time", f"/proc/{pid}/ns/time")
        box.linux["timeOffsets"] = None
        assert box.shell("cat /proc/self/timens_offsets").split()[3:] == ["boottime", "5000", "0"]


def test_several_id_maps_hold_for_an_exec_too(box: Box) -> None:
    in_user_namespace(box)
    maps = [{"containerID": 0, "hostID": 100000, "size": 10}, {"containerID": 1000, "hostID": 300000, "size": 1}]
    box.linux.update(uidMappings=maps, gidMappings=maps[::-1])
    script = "id; cat /proc/self/setgroups; cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '"
    shown = "allow\n 0 100000 10\n 1000 300000 1\n 1000 300000 1\n 0 100000 10\n"
    box.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [9]}
    assert box.shell(script) == f"uid=1000 gid=1000 groups=9\n{shown}"
    user = {"uid": 5, "gid": 1000, "additionalGids": [0, 1000]}
    assert box.exec(script, user=user) == f"uid=5 gid=1000 groups=0,1000\n{shown}"
    box.process["user"] = {"uid": 10, "gid": 0}
    assert "10:0 has no id" in box.fails("true")["message"]


def test_mounts_on_a_read_only_root_stay_writable(box: Box) -> None:
    box.config["root"]["readonly"] = True
    script = (
        "touch /x 2>/dev/null || echo root; touch /dev/shm/x && echo shm; touch /etc/y 2>/dev/null || echo etc"
    )
    assert box.shell(script) == "root\nshm\netc\n"
    box.config["root"]["readonly"] = False
    assert box.shell("touch /x && echo root") == "root\n"


def test_masked_paths_are_empty_and_read_only_paths_read_only(box: Box) -> None:
    for name in ("hidden", "open"):
        (box.rootfs / name).mkdir()
        (box.rootfs / name / "file").write_text("content")
    (box.rootfs / "key").write_text("content")
    box.linux["maskedPaths"] = ["/hidden", "/key", "/not/there", "/key/not"]
    box.linux["readonlyPaths"] = ["/open", "/not/there"]
    script = "ls /hidden; cat /key; cat /open/file; echo; echo x >/open/file || echo read-only"
    assert box.shell(script) == "content\nread-only\n"
    box.linux["maskedPaths"] = box.linux["readonlyPaths"] = []
    assert box.shell(script) == "file\ncontent" + "content\n"


def test_masking_a_link_masks_its_target(box: Box) -> None:
    (box.rootfs / "hidden").write_text("content")
    (box.rootfs / "link").symlink_to("hidden")
    box.linux["maskedPaths"] = ["/link"]
    assert box.shell("cat /link; cat /hidden") == ""


@pytest.mark.parametrize("replaced", ["plain file", "/dev/zero", "link"])
def test_a_false_null_device_is_not_used_as_a_mask(box: Box, replaced: str) -> None:
    """CVE-2025-31133: the mask would show the image's own file in place of /proc/kcore."""
    box.config["mounts"] = [mount for mount in box.config["mounts"] if not mount["destination"].startswith("/dev")]
    dev = box.directory / "dev"
    dev.mkdir()
    box.config["mounts"].append({"destination": "/dev", "type": "bind", "source": str(dev), "options": ["rbind"]})
    (box.rootfs / "key").touch()
    box.linux["maskedPaths"] = ["/key"]
    os.mknod(dev / "null", 0o20666, os.makedev(1, 3))
    assert box.run("true").returncode == 0
    (dev / "null").unlink()
    if replaced == "plain file":
        (dev / "null").write_text("evil")
    elif replaced == "link":
        (dev / "null").symlink_to("/etc/passwd")
    else:
        os.mknod(dev / "null", 0o20666, os.makedev(1, 5))
    error = box.fails("true")
    assert error["path"] == "/dev/null"
    assert "is not the null device" in error["message"]


def test_default_devices_and_links_are_made(box: Box) -> None:
    listed = box.shell("cd /dev; stat -c '%n %F %a %t:%T' null zero full random urandom tty").splitlines()
    assert listed == [
        f"{name} character special file 666 {number}"
        for name, number in (
            ("null", "1:3"),
            ("zero", "1:5"),
            ("full", "1:7"),
            ("random", "1:8"),
            ("urandom", "1:9"),
            ("tty", "5:0"),
        )
    ]
    links = box.shell("cd /dev; for n in fd stdin stdout stderr ptmx; do readlink $n; done").split()
    assert links == ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx"]
    assert box.shell("echo x >/dev/null; head -c 3 /dev/zero | wc -c") == "3\n"


def test_listed_devices_are_made_with_mode_and_owner(box: Box) -> None:
    box.linux["devices"] = [
        {"path": "/dev/own/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8},
        {"path": "/dev/pipe", "type": "p", "fileMode": 0o622},
    ]
    assert box.shell("stat -c '%a %u %g %t:%T' /dev/own/null; stat -c '%F %a' /dev/pipe") == (
        "640 7 8 1:3\nfifo 622\n"
    )


def test_devices_are_made_if_the_bundle_does_not_mount_dev(box: Box) -> None:
    box.config["mounts"] = [mount for mount in box.config["mounts"] if not mount["destination"].startswith("/dev")]
    assert box.shell("echo x >/dev/null; stat -c %F /dev/null") == "character special file\n"


def test_a_bound_device_is_kept(box: Box) -> None:
    mount = {"destination": "/dev/random", "type": "bind", "source": "/dev/zero", "options": ["bind"]}
    box.config["mounts"].append(mount)
    assert box.shell("stat -c %t:%T /dev/random; stat -c %t:%T /dev/urandom") == "1:5\n1:9\n"


def test_a_bundle_without_proc_can_be_masked_too(box: Box) -> None:
    (box.rootfs / "key").write_text("content")
    box.config["mounts"] = [mount for mount in box.config["mounts"] if mount["destination"] != "/proc"]
    box.linux["maskedPaths"] = ["/key", "/proc/kcore"]
    assert box.shell("cat /key; ls /proc | wc -l") == "0\n"


@pytest.mark.parametrize("own_namespace", [True, False])
def test_a_container_sees_only_its_own_cgroup(box: Box, own_namespace: bool) -> None:
    others = [namespace for namespace in box.linux["namespaces"] if namespace["type"] != "cgroup"]
    box.linux["namespaces"] = [*others, *([{"type": "cgroup"}] if own_namespace else [])]
    script = "cd /sys/fs/cgroup; [ -d pids ] && cd pids; cat pids.current; ls -d pyctr* 2>/dev/null; touch x"
    done = box.run("sh", "-c", script)
    assert done.stdout == "2\n", done.stderr  # the shell and cat
    assert "ead-only" in done.stderr


@pytest.mark.parametrize(("options", "error"), [(["rbind", "ro"], "read-only"), (["rbind"], "")])
def test_a_bind_is_read_only_only_with_ro(box: Box, options: list[str], error: str) -> None:
    source = box.directory / "source"
    source.mkdir()
    box.config["mounts"].append(
        {"destination": "/data", "type": "bind", "source": str(source), "options": options}
    )
    assert box.shell("touch /data/x 2>/dev/null || echo read-only").strip() == error
    assert (source / "x").exists() is not bool(error)


def test_a_relative_source_of_a_bind_starts_at_the_bundle(box: Box) -> None:
    (box.directory / "note").write_text("beside config.json")
    mount = {"destination": "/note", "type": "bind", "source": "note", "options": ["bind"]}
    box.config["mounts"].append(mount)
    assert box.run("cat", "/note").stdout == "beside config.json"


def test_no_mount_of_the_host_is_visible_inside(box: Box) -> None:
    inside = list(mountinfo.parse(box.run("cat", "/proc/self/mountinfo").stdout))
    points = {mount.mountpoint for mount in inside}
    assert points >= {"/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys"}
    assert all(point.startswith(("/proc", "/dev", "/sys")) for point in points - {"/"})
    assert not any(mount.propagation for mount in inside)
    shutil.rmtree(box.rootfs / "tmp")


@pytest.mark.parametrize(("propagation", "tag"), [("rshared", "shared"), ("rslave", ""), ("private", "")])
def test_the_root_has_the_requested_propagation(box: Box, propagation: str, tag: str) -> None:
    box.linux["rootfsPropagation"] = propagation
    [root] = (
        mount
        for mount in mountinfo.parse(box.run("cat", "/proc/self/mountinfo").stdout)
        if mount.mountpoint == "/"
    )
    assert [word.partition(":")[0] for word in root.propagation] == ([tag] if tag else [])
