"""From an OCI cgroupsPath to a group and back, and groups that a new container must not enter."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.cgroups import hierarchy, paths
from pyctr_lite.cgroups.group import Group
from pyctr_lite.cgroups.limits import Limits
from pyctr_lite.errors import Conflict, InvalidArgument, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cgroups.conftest import Inside


@pytest.mark.parametrize(
    ("path", "resolved"),
    [
        ("/a/b", "/a/b"),
        ("/a//b/", "/a/b"),
        ("/../../a", "/a"),
        (None, "/box"),
        ("", "/box"),
    ],
)
def test_an_absolute_path_starts_at_the_root(path: str | None, resolved: str) -> None:
    group = paths.resolve(path, "box")
    assert group.path == resolved
    assert group.directories == [mount.mountpoint + resolved for mount in hierarchy.current().mounts]
    assert paths.to_state(group) == {"path": resolved}


@pytest.mark.parametrize("path", ["/", "/..", "a\0b"])
def test_the_root_and_invalid_names_are_not_a_path(path: str) -> None:
    with pytest.raises(InvalidArgument, match="not a cgroup path"):
        paths.resolve(path, "box")


def test_a_relative_path_starts_at_the_callers_group_and_is_found_again_from_another(
    group: Group, inside: Callable[..., Inside]
) -> None:
    """In version 2 it starts one level higher: a group with processes cannot have controllers below it."""
    reader, writer = os.pipe()

    def make() -> None:
        below = paths.resolve("../a/./b", "box")
        below.create()
        below.apply(Limits(pids=7))
        os.write(writer, json.dumps(paths.to_state(below)).encode())

    assert inside(group, make).wait() == 0
    state = json.loads(os.read(reader, 65536))
    os.close(reader)
    os.close(writer)
    found = paths.from_state(state)
    assert found.path == "/a/b"
    for mount, directory in zip(hierarchy.detect().mounts, found.directories, strict=True):
        start = group.path if mount.version == 1 else os.path.dirname(group.path)
        assert directory == f"{mount.mountpoint}{start}/a/b"
        assert os.path.isdir(directory)
    assert Path(found.directory("pids") or "", "pids.max").read_text() == "7\n"
    found.destroy()
    assert not found.exists()
    paths.from_state({**state, "path": "/a"}).destroy()


def test_an_unused_group_may_exist(group: Group) -> None:
    paths.require_unused(group)
    paths.require_unused(Group(f"{group.path}/new", group.hierarchy))


def test_a_group_with_processes_is_refused(group: Group, inside: Callable[..., Inside]) -> None:
    below = Group(f"{group.path}/below", group.hierarchy)
    below.create()
    process = inside(below, signal.pause)
    process.wait_until_in(below)
    with pytest.raises(Conflict, match=r"container's cgroup is not empty: 1 process\(es\) found"):
        paths.require_unused(group)
    process.kill()
    paths.require_unused(group)


def test_a_frozen_group_and_one_below_it_are_refused(group_of_version: Group) -> None:
    group_of_version.freeze()
    for path in ("", "/new", "/new/er"):
        with pytest.raises(Conflict, match="container's cgroup unexpectedly frozen"):
            paths.require_unused(Group(group_of_version.path + path, group_of_version.hierarchy))
    group_of_version.thaw()
    paths.require_unused(group_of_version)


@pytest.mark.parametrize("file", ["freezer.state", "cgroup.freeze"])
def test_destroy_thaws_kills_and_removes_groups_below_too(
    group: Group, inside: Callable[..., Inside], file: str
) -> None:
    below, beside = (Group(f"{group.path}/{name}", group.hierarchy) for name in ("below", "beside"))
    below.create()
    beside.create()
    processes = [inside(below, signal.pause), inside(beside, signal.pause)]
    for process in processes:
        process.wait_until_in(group)
    files = [path for directory in below.directories if (path := Path(directory, file)).exists()]
    if not files:
        pytest.skip(f"this machine has no {file}")
    files[0].write_text("FROZEN" if file == "freezer.state" else "1")
    group.destroy()
    assert [process.wait() for process in processes] == [-signal.SIGKILL] * 2
    assert not group.exists()
    group.destroy()  # idempotent


def test_destroy_kills_a_process_that_has_left_one_hierarchy(group: Group, inside: Callable[..., Inside]) -> None:
    if len(group.directories) == 1:
        pytest.skip("this machine has one hierarchy")
    process = inside(group, signal.pause)
    process.wait_until_in(group)
    main = group.v2 or group.directories[0]
    Path(os.path.dirname(os.path.dirname(main)), "cgroup.procs").write_text(str(process.pid))
    assert group.pids() == []
    group.destroy()
    assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("options", "own", "owner"), [(["rw"], True, 100_005), (["ro"], True, 0), (["rw"], False, 0)]
)
def test_a_container_that_may_write_to_its_group_owns_it(
    group: Group, options: list[str], own: bool, owner: int
) -> None:
    if group.hierarchy.kind != "v2":
        owner = 0  # version 1 is not safe to delegate
    paths.delegate(
        group,
        {
            "process": {"user": {"uid": 5}},
            "linux": {
                "namespaces": [{"type": "cgroup"}] if own else [],
                "uidMappings": [{"containerID": 0, "hostID": 100_000, "size": 10}],
            },
            "mounts": [
                {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options}
            ],
        },
    )
    directory = Path(group.v2 or group.directories[0])
    assert directory.stat().st_uid == owner
    assert (directory / "cgroup.procs").stat().st_uid == owner
    if group.hierarchy.kind == "v2":
        assert (directory / "memory.max").stat().st_uid == 0


def test_a_path_below_is_taken_in_the_hierarchies_that_have_it(group: Group) -> None:
    pids, memory = group.directory("pids"), group.directory("memory")
    assert pids is not None
    assert memory is not None
    os.mkdir(f"{pids}/sub")
    found = paths.below(group, ["./sub/"])
    expected = [f"{path}/sub" if path == pids else path for path in group.directories]
    assert found.directories == expected
    if memory != pids:
        assert paths.below(group, ["pids:sub", "memory:/"]).directories == expected
    assert paths.below(group, ["pids,memory:sub"]).directories == expected
    for given in ([], ["/"]):
        assert paths.below(group, given).directories == group.directories
    os.rmdir(f"{pids}/sub")


@pytest.mark.parametrize(
    ("item", "error", "text"),
    [
        ("..", InvalidArgument, "bad sub cgroup path"),
        ("foo/../../x", InvalidArgument, r"`foo/\.\./\.\./x`: `\.\.` components are not allowed"),
        ("whaaat:/", InvalidArgument, "unknown controller whaaat"),
        ("missing", NotFound, "adding pid to cgroup .*missing: no such file or directory"),
        ("pids:missing", NotFound, "adding pid to cgroup .*missing: no such file or directory"),
    ],
)
def test_a_path_that_is_not_below_is_refused(group: Group, item: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        paths.below(group, [item])


def test_a_process_is_born_beside_another_in_a_divided_group(group: Group, inside: Callable[..., Inside]) -> None:
    mount = group.hierarchy.v2
    if mount is None or "memory" not in mount.controllers:
        pytest.skip("version 2 does not have the memory controller")
    leaf = Group(f"{group.path}/leaf", group.hierarchy)
    leaf.create()
    leaf.apply(Limits(memory=64 << 20))
    process = inside(leaf, signal.pause)
    process.wait_until_in(leaf)
    fd = group.fd_for_clone(beside=process.pid)
    assert fd is not None
    assert os.readlink(f"/proc/self/fd/{fd}") == leaf.v2
    os.close(fd)
    with pytest.raises(Conflict, match="device or resource busy"):
        paths.below(group, ["/"])
    assert paths.below(group, ["leaf"]).v2 == leaf.v2
