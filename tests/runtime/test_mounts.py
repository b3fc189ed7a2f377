"""Mounts of an OCI bundle as an orchestrator writes it: options, id maps, propagation, roots, tmpfs, links."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyctr_lite import linux
from pyctr_lite.linux import mountinfo
from pyctr_lite.runtime import bundle
from tests.runtime.bundles import Box

MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]


@pytest.fixture
def host(box: Box) -> Box:
    """Return a bundle that may do everything that its caller may."""
    box.host = True
    return box


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """Yield a tmpfs with another tmpfs in its directory `below`, each with a file."""
    source = tmp_path / "tree"
    source.mkdir()
    linux.mount("one", str(source), "tmpfs")
    try:
        (source / "file").touch()
        (source / "below").mkdir()
        linux.mount("two", f"{source}/below", "tmpfs")
        (source / "below/file").touch()
        yield source
    finally:
        linux.umount2(str(source), linux.MNT_DETACH)


def add(box: Box, destination: str, source: Path | str, *options: str, type: str = "bind", **more: Any) -> None:
    item = {"destination": destination, "type": type, "source": str(source), "options": list(options), **more}
    box.config["mounts"].append(item)


def in_user_namespace(box: Box) -> None:
    box.linux["namespaces"].append({"type": "user"})
    box.linux.update(uidMappings=MAPS, gidMappings=MAPS)
    subprocess.run(["chown", "-R", "-h", "100000:100000", box.rootfs], check=True)


def table(box: Box) -> dict[str, mountinfo.Mount]:
    """Return the mounts inside by their mountpoints, the topmost of each."""
    done = box.run("cat", "/proc/self/mountinfo")
    assert done.returncode == 0, done.stderr
    return {mount.mountpoint: mount for mount in mountinfo.parse(done.stdout)}


def options_of(mount: mountinfo.Mount) -> set[str]:
    return {*mount.options, *mount.super_options} - {"seclabel"}


def test_each_recursive_option_applies_to_the_mounts_below(host: Box, tree: Path) -> None:
    for number, options in enumerate(
        (["rro"], ["ro", "rrw"], ["rnosuid", "rnodev", "rnoexec", "rnoatime"], ["ro"])
    ):
        add(host, f"/{number}", tree, "rbind", *options)
    add(host, "/4", tree, "rbind", "rnosymfollow", "rnodiratime", "rstrictatime")
    found = table(host)
    flags = {name: sorted(set(found[name].options) - {"relatime"}) for name in found if name[1:2].isdigit()}
    assert flags == {
        "/0": ["ro"], "/0/below": ["ro"], "/1": ["rw"], "/1/below": ["rw"],
        "/2": ["noatime", "nodev", "noexec", "nosuid", "rw"],
        "/2/below": ["noatime", "nodev", "noexec", "nosuid", "rw"],
        "/3": ["ro"], "/3/below": ["rw"],
        "/4": ["nodiratime", "nosymfollow", "rw"], "/4/below": ["nodiratime", "nosymfollow", "rw"],
    }  # fmt: skip


@pytest.mark.parametrize("user", [False, True])
def test_a_bind_with_options_has_only_its_own_flags(host: Box, tree: Path, user: bool) -> None:
    """As in runc: "bind" alone keeps the source's flags. In a user namespace the locked ones stay anyway."""
    if user:
        in_user_namespace(host)
    remount = linux.MS_REMOUNT | linux.MS_BIND | linux.MS_NOEXEC | linux.MS_RDONLY | linux.MS_NOSYMFOLLOW
    linux.mount(None, str(tree), None, remount)
    add(host, "/kept", tree, "bind")
    add(host, "/own", tree, "bind", "nodev")
    found = table(host)
    assert {"ro", "noexec", "nosymfollow"} <= set(found["/kept"].options)
    assert {"nodev", *(("ro", "noexec") if user else ("rw",))} <= set(found["/own"].options)
    assert not {"nosymfollow", *(() if user else ("ro", "noexec"))} & set(found["/own"].options)
    add(host, "/explicit", tree, "bind", "rw")
    if user:
        error = host.fails("true")
        assert (error["errno"], error["path"]) == (errno.EPERM, "/explicit")
        assert "locked in a user namespace" in error["message"]
    else:
        assert "rw" in table(host)["/explicit"].options


def test_the_engine_keeps_the_flags_of_a_binds_source(box: Box, tree: Path) -> None:
    linux.mount(None, str(tree), None, linux.MS_REMOUNT | linux.MS_BIND | linux.MS_NOEXEC)
    add(box, "/own", tree, "bind", "rw", "exec")
    assert "noexec" in table(box)["/own"].options


@pytest.mark.parametrize("user", [False, True])
def test_a_mount_has_id_maps_of_its_own(host: Box, tmp_path: Path, user: bool) -> None:
    if user:
        in_user_namespace(host)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/file").touch()
    os.chown(tmp_path / "data/file", 7, 8)
    maps = [{"containerID": 0, "hostID": 101000, "size": 100}]
    add(host, "/mapped", tmp_path / "data", "bind", uidMappings=maps, gidMappings=maps)
    add(host, "/crun", tmp_path / "data", "bind", "idmap=uids=7-102000-1#9-1-1;gids=8-102001-1")
    add(host, "/plain", tmp_path / "data", "bind")
    outside = ((101007, 101008), (102000, 102001), (7, 8))
    seen = [tuple(id - 100000 if id >= 100000 else 65534 for id in pair) if user else pair for pair in outside]
    script = "stat -c '%u %g' /mapped/file /crun/file /plain/file"
    assert host.shell(script).splitlines() == [f"{uid} {gid}" for uid, gid in seen]


def test_ridmap_maps_the_mounts_below_and_idmap_does_not(host: Box, tree: Path) -> None:
    maps = [{"containerID": 0, "hostID": 5000, "size": 10}]
    for name in ("idmap", "ridmap"):
        add(host, f"/{name}", tree, "rbind", name, uidMappings=maps, gidMappings=maps)
    script = "stat -c %u /idmap/file /idmap/below/file /ridmap/file /ridmap/below/file"
    assert host.shell(script).split() == ["5000", "0", "5000", "5000"]


def test_a_tmpfs_has_the_mode_of_the_directory_that_it_covers(host: Box) -> None:
    (host.rootfs / "covered").mkdir(mode=0o710)
    (host.rootfs / "own").mkdir()
    for name, options in (("covered", []), ("covered/new", []), ("own", ["mode=1500", "size=64k"])):
        add(host, f"/{name}", "tmpfs", *options, type="tmpfs")
    add(host, "/read", "tmpfs", "ro", "nr_inodes=9", type="tmpfs")
    assert host.shell("stat -c %a /covered /covered/new /own; touch /read/x 2>&1 | cut -d: -f3") == (
        "710\n1777\n1500\n Read-only file system\n"
    )
    assert {"size=64k"} <= options_of(table(host)["/own"])


def test_a_read_only_dev_has_its_devices(host: Box) -> None:
    next(mount for mount in host.config["mounts"] if mount["destination"] == "/dev")["options"].append("ro")
    script = "echo x >/dev/null; ls -1 /dev/tty /dev/console; touch /dev/x 2>&1 | cut -d: -f3"
    host.process["terminal"] = True
    host.process["args"] = ["sh", "-c", script]
    assert host.run(terminal=True).stdout.splitlines() == ["/dev/console", "/dev/tty", " Read-only file system"]


def test_the_options_of_a_file_system_are_passed_on_and_a_wrong_one_is_named(host: Box) -> None:
    add(host, "/x", "tmpfs", "dirsync", "nosuid", "rprivate", "size=1m", type="tmpfs")
    found = options_of(table(host)["/x"])
    assert {"dirsync", "nosuid", "size=1024k"} <= found
    add(host, "/y", "tmpfs", "rprivate", "colour=red", type="tmpfs")
    assert "Unknown parameter 'colour'" in host.fails("true")["message"]


def test_a_remount_changes_an_existing_mount(host: Box, tree: Path) -> None:
    add(host, "/x", tree, "rbind")
    add(host, "/x", "", "remount", "bind", "ro", "nosuid")
    add(host, "/t", "tmpfs", "size=1m", type="tmpfs")
    add(host, "/t", "", "remount", "size=2m", type="tmpfs")
    found = table(host)
    assert {"ro", "nosuid"} <= set(found["/x"].options)
    assert "rw" in found["/x/below"].options
    assert "size=2048k" in found["/t"].super_options
    add(host, "/etc", "", "remount", "bind", "ro")
    assert host.fails("true")["errno"] == errno.EINVAL


def test_a_mount_can_cover_the_root_of_an_orchestrators_container(host: Box) -> None:
    other = host.directory / "other"
    shutil.copytree(host.rootfs, other, symlinks=True)
    (other / "mark").write_text("other")
    host.config["mounts"].insert(
        0, {"destination": "/", "type": "bind", "source": str(other), "options": ["bind"]}
    )
    assert host.run("cat", "/mark").stdout == "other"
    host.host = False
    assert "cannot cover the container's root" in host.fails("true")["message"]


def test_a_relative_destination_starts_at_the_root_and_one_on_the_host_inside(host: Box) -> None:
    (host.directory / "data").mkdir()
    (host.directory / "data/file").touch()
    add(host, "relative/x", "data", "bind")
    add(host, f"{host.rootfs}/absolute", "data", "bind")
    assert host.shell("ls /relative/x /absolute | grep -c file") == "2\n"


def test_two_mounts_at_one_destination_are_stacked(host: Box, tmp_path: Path) -> None:
    in_user_namespace(host)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
        add(host, "/x", tmp_path / name, "bind")
    assert host.run("ls", "/x").stdout == "second\n"


@pytest.mark.parametrize("user", [False, True])
def test_a_mount_inside_the_container_is_a_source_of_the_next(host: Box, tree: Path, user: bool) -> None:
    for name in ("first", "second"):
        (host.rootfs / name).mkdir()
    if user:
        in_user_namespace(host)
    add(host, "/first", tree, "rbind")
    add(host, "/second", host.rootfs / "first/below", "bind")
    (tree / "below/marked").touch()
    assert host.run("ls", "/second").stdout == "file\nmarked\n"


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_special_files_are_bound(host: Box, tmp_path: Path, kind: str) -> None:
    os.mknod(tmp_path / kind, {"fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK}[kind] | 0o600)
    add(host, "/x", tmp_path / kind, "bind", "ro")
    assert host.run("stat", "-c", "%F", "/x").stdout.strip() == kind


def test_links_are_copied_or_not_followed(host: Box, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name in ("plain", "both"):
        (host.rootfs / name).symlink_to("nowhere")
    add(host, "/copied/link", tmp_path / "link", "bind", "copy-symlink")
    add(host, "/copied/file", tmp_path / "file", "bind", "copy-symlink")
    add(host, "/plain", tmp_path / "link", "bind", "dest-nofollow")
    add(host, "/both", tmp_path / "link", "bind", "src-nofollow", "dest-nofollow")
    script = "readlink /copied/link; readlink /both; cat /copied/file /plain; ls /nowhere 2>&1 | grep -c nowhere"
    assert host.shell(script) == f"{tmp_path}/file\n{tmp_path}/file\ncontentcontent1\n"
    host.config["mounts"] = [m for m in host.config["mounts"] if not str(m["source"]).startswith(str(tmp_path))]
    add(host, "/proc/self", tmp_path / "link", "bind", "src-nofollow", "dest-nofollow")
    assert "cannot cover a file of proc" in host.fails("true")["message"]


def test_a_data_option_of_a_bind_is_ignored_as_in_crun_but_not_by_the_engine(host: Box, tmp_path: Path) -> None:
    add(host, "/x", tmp_path, "bind", "mode=755", "size=1m")
    assert host.run("true").returncode == 0
    host.host = False
    assert "a bind has no option mode=755,size=1m" in host.fails("true")["message"]


@contextlib.contextmanager
def shared_mounts(path: Path) -> Iterator[None]:
    linux.mount("shared", str(path), "tmpfs")
    try:
        linux.mount(None, str(path), None, linux.MS_SHARED)
        yield
    finally:
        linux.umount2(str(path), linux.MNT_DETACH)


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ([], {"master"}),
        (["rprivate"], set()),
        (["rslave"], {"master"}),
        (["rshared"], {"master", "shared"}),
        (["rslave", "shared"], {"master", "shared"}),
        (["unbindable"], {"unbindable"}),
    ],
)
def test_a_bind_has_the_requested_propagation(
    host: Box, tmp_path: Path, options: list[str], kinds: set[str]
) -> None:
    source = tmp_path / "shared"
    source.mkdir()
    with shared_mounts(source):
        add(host, "/x", source, "rbind", *options)
        add(host, "/t", "tmpfs", "shared", type="tmpfs")
        found = table(host)
        assert {word.partition(":")[0] for word in found["/x"].propagation} == kinds
        assert [word.partition(":")[0] for word in found["/t"].propagation] == ["shared"]


def test_a_bind_is_shared_with_the_host_if_the_root_is_shared(host: Box, tmp_path: Path) -> None:
    host.linux["rootfsPropagation"] = "rshared"
    (tmp_path / "source").mkdir()
    with shared_mounts(tmp_path / "source"):
        add(host, "/x", tmp_path / "source", "rbind", "rshared")
        [group] = mountinfo.of_path(f"{tmp_path}/source").propagation
        assert table(host)["/x"].propagation == [group]


@pytest.mark.parametrize(
    ("propagation", "kinds"),
    [
        ("shared", ["shared"]),
        ("slave", ["master"]),
        ("rslave", ["master"]),
        ("private", []),
        ("unbindable", ["unbindable"]),
        ("", []),
    ],
)
def test_the_root_has_the_bundles_propagation(host: Box, propagation: str, kinds: list[str]) -> None:
    host.linux["rootfsPropagation"] = propagation
    with shared_mounts_of(host.rootfs):
        root = table(host)["/"]
    assert [word.partition(":")[0] for word in root.propagation] == kinds


def test_a_mapped_mount_is_shared_in_a_user_namespace(host: Box, tmp_path: Path) -> None:
    in_user_namespace(host)
    add(host, "/x", tmp_path, "bind", "shared", uidMappings=MAPS, gidMappings=MAPS)
    assert [word.partition(":")[0] for word in table(host)["/x"].propagation] == ["shared"]


@contextlib.contextmanager
def shared_mounts_of(path: Path) -> Iterator[None]:
    linux.mount(str(path), str(path), None, linux.MS_BIND)
    try:
        linux.mount(None, str(path), None, linux.MS_SHARED)
        yield
    finally:
        linux.umount2(str(path), linux.MNT_DETACH)


def test_without_pivot_root_the_root_is_moved_and_the_hosts_proc_is_gone(host: Box) -> None:
    host.pivot = False
    assert host.shell("ls /; cat /proc/self/mountinfo | grep -c ' / /proc '").splitlines()[-1] == "1"
    for kind in ("bounding", "effective", "permitted"):
        host.process["capabilities"][kind].append("CAP_SETFCAP")  # to map root
    script = "unshare -Urmpf sh -c 'echo unshared; mount -t proc proc /mnt && echo mounted'"
    (host.rootfs / "mnt").mkdir()
    assert host.run("sh", "-c", script).stdout == "unshared\n"


def test_a_missing_root_is_named_and_a_link_to_one_is_followed(host: Box) -> None:
    (host.directory / "link").symlink_to("rootfs")
    host.config["root"]["path"] = "link"
    assert host.run("echo", "x").stdout == "x\n"
    host.config["root"]["path"] = "gone"
    assert host.fails("true")["message"] == f"root.path: {host.directory}/gone is not a directory"


def test_a_mountpoint_missing_in_a_read_only_root_is_a_clear_error(host: Box, tree: Path) -> None:
    linux.mount(str(host.rootfs), str(host.rootfs), None, linux.MS_BIND)
    try:
        linux.mount(None, str(host.rootfs), None, linux.MS_BIND | linux.MS_REMOUNT | linux.MS_RDONLY)
        error = host.fails("true")
    finally:
        linux.umount2(str(host.rootfs), linux.MNT_DETACH)
    assert "the image lacks it, and the file system is read-only: /proc" in error["message"]


def test_without_a_mount_namespace_the_root_is_only_changed(host: Box) -> None:
    host.join("mount", None)
    host.config["mounts"] = []
    host.linux.pop("maskedPaths")
    assert "readonlyPaths need a mount namespace" in host.fails("true")["message"]
    host.linux.pop("readonlyPaths")
    try:
        assert host.run("ls", "/bin/busybox").stdout == "/bin/busybox\n"
        left = [mount for mount in mountinfo.mounts() if mount.mountpoint == str(host.rootfs)]
        assert [mount.propagation for mount in left] == [[]]  # as with runc, it is the caller's to unmount
    finally:
        while any(mount.mountpoint == str(host.rootfs) for mount in mountinfo.mounts()):
            linux.umount2(str(host.rootfs), linux.MNT_DETACH)
    host.host = False
    assert "needs a mount namespace of its own" in host.fails("true")["message"]


def test_a_mount_namespace_is_joined_by_its_path(host: Box) -> None:
    holder = subprocess.Popen(["unshare", "--mount", "sh", "-c", "echo; read _"], stdin=-1, stdout=-1)
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        theirs = os.readlink(f"/proc/{holder.pid}/ns/mnt")
        host.join("mount", f"/proc/{holder.pid}/ns/mnt")
        assert host.shell("readlink /proc/self/ns/mnt; ls /bin/busybox") == f"{theirs}\n/bin/busybox\n"
    finally:
        holder.communicate(b"\n")


def test_sysfs_of_anothers_network_namespace_is_the_hosts_read_only(host: Box) -> None:
    in_user_namespace(host)
    host.join("network", None)
    script = (
        "ls -d /sys/class/net; echo x 2>&1 >/sys/kernel/x | grep -c Read-only; ls /sys/fs/cgroup | head -1 | wc -l"
    )
    assert host.shell(script).splitlines()[0] == "/sys/class/net"
    assert "ro" in table(host)["/sys"].options


def test_devices_that_the_runtime_makes_are_skipped_and_others_checked(host: Box) -> None:
    host.linux["devices"] = [
        {"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2},
        {"path": "/dev/console", "type": "c", "major": 5, "minor": 1},
        {"path": "/dev/fifo", "type": "p", "fileMode": 0o620},
        {"path": "/mnt/", "type": "b", "major": 10, "minor": 229, "fileMode": None},
    ]
    script = "readlink /dev/ptmx; ls /dev/console 2>/dev/null; stat -c '%F %a' /dev/fifo /mnt"
    assert host.shell(script) == "pts/ptmx\nfifo 620\nblock special file 666\n"
    host.linux["devices"] = [{"path": "/mnt", "type": "b", "major": 10, "minor": 230}]
    assert host.fails("true")["errno"] == errno.EEXIST
    host.linux["devices"] = [{"path": "/dev/x", "type": "z"}]
    assert "the type c, u, b or p, not 'z'" in host.fails("true")["message"]


def test_devices_have_their_modes_and_owners_in_a_user_namespace(host: Box) -> None:
    in_user_namespace(host)
    host.linux["devices"] = [
        {"path": "/dev/own", "type": "b", "major": 1, "minor": 5, "fileMode": 0o157, "uid": 10, "gid": 11},
        {"path": "/dev/fifo", "type": "p", "fileMode": 0o620},
    ]
    script = "stat -c '%F %a %u %g %t:%T' /dev/own; stat -c %F /dev/fifo"
    assert host.shell(script) == "block special file 157 10 11 1:5\nfifo\n"
    assert {"nosuid", "noexec"} <= set(table(host)["/dev/null"].options)


def test_masked_directories_share_one_file_system_and_each_is_masked_once(host: Box) -> None:
    for name in ("one", "two"):
        (host.rootfs / name).mkdir()
        (host.rootfs / name / "file").touch()
    host.linux["maskedPaths"] = ["/one", "/two", "/one/", "/one"]
    assert host.shell(
        "ls /one /two | grep -c file; stat -c %d /one /two | uniq | wc -l; grep -c ' /one ' /proc/mounts"
    ) == ("0\n1\n1\n")


def test_a_user_namespace_without_maps_gets_one_for_the_caller(host: Box) -> None:
    host.linux["namespaces"].append({"type": "user"})
    host.config["mounts"] = [m for m in host.config["mounts"] if m["destination"] not in ("/dev/pts",)]
    assert host.shell("cat /proc/self/uid_map | tr -s ' '") == " 0 0 1\n"


def test_devices_are_not_made_behind_a_link_that_leads_nowhere(host: Box, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (host.rootfs / "dev").symlink_to(tmp_path / "outside")
    host.config["mounts"] = [m for m in host.config["mounts"] if not m["destination"].startswith("/dev")]
    assert host.fails("true")["message"] == "is a link that leads nowhere in the container's root: /dev"
    assert not list((tmp_path / "outside").iterdir())
    (host.rootfs / tmp_path.relative_to("/") / "outside").mkdir(parents=True)
    assert host.run("ls", "/dev/null").returncode == 0
    assert not list((tmp_path / "outside").iterdir())


def test_links_of_the_image_lead_no_mount_out_of_the_root(host: Box, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "link").symlink_to("target")
    (host.rootfs / "out").symlink_to(tmp_path / "outside")
    (host.rootfs / "up").symlink_to("../" * 20 + str(tmp_path / "outside"))
    for top in ("out", "up"):
        add(host, f"/{top}/bind", "/etc", "rbind")
        add(host, f"/{top}/read", "tmpfs", "ro", "shared", type="tmpfs")
        add(host, f"/{top}/filled", "tmpfs", "tmpcopyup", type="tmpfs")
        add(host, f"/{top}/link", tmp_path / "link", "bind", "copy-symlink")
        add(host, f"/{top}/bind", "", "remount", "bind", "ro")
    host.linux["devices"] = [{"path": "/out/device", "type": "c", "major": 1, "minor": 3}]
    host.linux["maskedPaths"], host.linux["readonlyPaths"] = ["/out/bind/ssl"], ["/up/bind"]
    assert host.shell("ls /out | tr '\\n' ' '") == "bind device filled link read "
    assert not list((tmp_path / "outside").iterdir())
    assert not any(mount.mountpoint.startswith(str(tmp_path / "outside")) for mount in mountinfo.mounts())


@pytest.mark.parametrize(
    ("destination", "type", "options"),
    [
        ("/proc", "tmpfs", []),
        ("/p/sys", "bind", ["bind"]),
        ("/p/self/attr", "bind", ["rbind", "ro"]),
        ("/p/new", "bind", ["bind", "copy-symlink"]),
        ("/sys/kernel", "tmpfs", ["tmpcopyup"]),
        ("/sys", "bind", ["bind", "dest-nofollow"]),
    ],
)
def test_no_mount_hides_the_kernels_files_from_an_orchestrators_container_either(
    host: Box, tmp_path: Path, destination: str, type: str, options: list[str]
) -> None:
    (host.rootfs / "p").symlink_to("proc")
    (tmp_path / "link").symlink_to("elsewhere")
    source = tmp_path / "link" if "copy-symlink" in options else tmp_path
    add(host, destination, source, *options, type=type)
    message = host.fails("true")["message"]
    assert "it would hide the kernel's own" in message or "cannot cover a file of sysfs" in message


def test_the_engines_annotations_have_no_effect_for_an_orchestrator(host: Box, tmp_path: Path) -> None:
    """A user of Kubernetes may set annotations, but not choose what is mounted from the host."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").touch()
    (tmp_path / "data").mkdir()
    layers = {"lower": [str(tmp_path / "secret")], "upper": "", "work": ""}
    host.config["annotations"] = {
        bundle.OVERLAY_ANNOTATION: json.dumps(layers),
        bundle.SOURCES_ANNOTATION: json.dumps({str(tmp_path / "data"): [str(tmp_path / "secret"), ""]}),
    }
    add(host, "/data", tmp_path / "data", "bind")
    assert host.shell("ls / /data | grep -c key; ls -d /bin") == "0\n/bin\n"
    del host.config["annotations"][bundle.OVERLAY_ANNOTATION]
    host.host = False
    assert host.run("ls", "/data").stdout == "key\n"
