"""Links that a container plants in a volume while the engine works in it: none leads to a file of the host.

The attacker is a process whose root is a volume's `_data` (chroot(2)), like a container that holds the volume,
but not slowed down by starting programs. `PYCTR_RACE_ROUNDS` sets the number of rounds of a race.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.errors import PyctrError
from pyctr_lite.rootfs import devices, walk
from pyctr_lite.volumes import fill, sources
from pyctr_lite.volumes.store import VolumeStore
from tests.conftest import Pyctr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = int(os.environ.get("PYCTR_RACE_ROUNDS", "60"))


class Host:
    """Host files that must not change."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(mode=0o700)
        (directory / "secret").write_text("the host's")
        (directory / "secret").chmod(0o600)
        self.before = self.look()

    def look(self) -> list[tuple[str, int, int, int, int, str]]:
        """Return the state that must not change: names, modes, owners, links and contents."""
        found = []
        for path in [self.directory, *sorted(self.directory.rglob("*"))]:
            status = path.lstat()
            text = path.read_text() if path.is_file() else ""
            found.append((path.name, status.st_mode, status.st_uid, status.st_gid, status.st_nlink, text))
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


@pytest.fixture
def image(tmp_path: Path) -> Iterator[int]:
    """Yield a root file system with files that an attacker would replace by a link: setuid, hard-linked, deep."""
    srv = tmp_path / "image/srv"
    (srv / "sub/below").mkdir(parents=True)
    for path in (srv / "a", srv / "sub/b", srv / "sub/below/c"):
        path.write_text("the image's")
        os.chown(path, 1234, 1234)
        path.chmod(0o4777)
        os.link(path, path.parent / f"{path.name}-again")
    for path in (srv / "sub/below", srv / "sub", srv):
        os.chown(path, 1234, 1234)
        path.chmod(0o1777)
    root_fd = os.open(tmp_path / "image", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    yield root_fd
    os.close(root_fd)


class Attacker:
    """A process that runs `work` repeatedly in a directory that is its `/`, until it is killed."""

    def __init__(self, directory: str, work: Callable[[random.Random], None]) -> None:
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.chroot(directory)
                os.chdir("/")
                os.write(writer, b"x")
                chance = random.Random(1)
                while True:
                    try:
                        work(chance)
                    except OSError:
                        pass  # the engine was faster
            finally:
                os._exit(1)
        os.close(writer)
        assert os.read(reader, 1) == b"x"
        os.close(reader)

    def __enter__(self) -> Attacker:
        return self

    def __exit__(self, *exception: object) -> None:
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


NAMES = (
    ".pyctr_lite-filling",
    "a",
    "a-again",
    "sub",
    "sub/b",
    "sub/b-again",
    "sub/below",
    "sub/below/c",
    "copied",
)


def clear(directory: str) -> None:
    """Remove the files of both sides, while one still runs, as safely as the engine."""
    top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in os.listdir(top):
            try:
                os.unlink(name, dir_fd=top)
            except IsADirectoryError:
                walk.remove_tree(name, top)
            except OSError:
                pass
    except OSError:
        pass
    finally:
        os.close(top)


def test_a_volume_is_filled_while_its_holder_plants_links(tmp_path: Path, host: Host, image: int) -> None:
    """An attack that succeeds gives a host file the setuid mode, the owner or the hard link."""
    volume = VolumeStore(str(tmp_path)).create("data")
    targets = (str(host.directory / "secret"), str(host.directory), f"../../../{host.directory.name}/secret")

    def plant(chance: random.Random) -> None:
        name = chance.choice(NAMES)
        action = chance.randrange(4)
        if action == 0:
            os.symlink(chance.choice(targets), name)
        elif action == 1:
            os.symlink(chance.choice(targets), "link")
            os.rename("link", name)
        elif action == 2:
            os.rename(name, chance.choice(NAMES))
        else:
            os.unlink(name)

    marker = Path(volume.mountpoint).parent / "filling"
    filled = 0
    with Attacker(volume.mountpoint, plant):
        for _ in range(ROUNDS):
            marker.touch()  # as after a killed copy: a volume with the attacker's files is filled, too
            try:
                fill.fill_volume(volume.mountpoint, image, "/srv")
                filled += 1
            except OSError:
                pass  # refused
            if host.look() != host.before:
                break
            clear(volume.mountpoint)
    assert host.look() == host.before
    assert filled > ROUNDS // 2
    print(f"filled {filled} of {ROUNDS} times")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["file", "directory", "hard link to itself"])
def test_a_link_already_in_the_volume_is_left_alone(
    tmp_path: Path, host: Host, image: int, name: str, kind: str
) -> None:
    volume = VolumeStore(str(tmp_path)).create("data")
    path = Path(volume.mountpoint) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "hard link to itself":
        path.write_text("of the volume")
        os.link(path, path.parent / "other")
    else:
        path.symlink_to(host.directory / "secret" if kind == "file" else host.directory)
    before = path.lstat()
    (Path(volume.mountpoint).parent / "filling").touch()
    fill.fill_volume(volume.mountpoint, image, "/srv")
    assert host.look() == host.before
    assert path.lstat().st_ino == before.st_ino
    assert sorted(os.listdir(Path(volume.mountpoint).parent)) == ["_data", "volume.json"]


def test_a_subpath_of_a_volume_is_never_outside_it(tmp_path: Path, host: Host) -> None:
    """The link is planted between any two system calls: a file in the volume is opened, or none."""
    volume = VolumeStore(str(tmp_path)).create("data")
    targets = (str(host.directory), "../../../host", "/", "..", "/proc/self/cwd")

    def flip(chance: random.Random) -> None:
        os.makedirs("sub/below")
        os.rename("sub", "old")
        os.symlink(chance.choice(targets), "sub")
        os.rename("sub", "link")
        os.rename("old", "sub")
        os.rename("sub/below", "below")
        os.symlink(chance.choice(targets), "sub/below")
        os.unlink("sub/below")
        os.rmdir("sub")
        os.rmdir("below")
        os.rename("link", "sub")
        os.unlink("sub")

    found = refused = 0
    with Attacker(volume.mountpoint, flip):
        for _ in range(ROUNDS):
            for below in ("sub", "sub/below"):
                try:
                    fd = sources.open_source(volume.mountpoint, below)
                except PyctrError:
                    refused += 1
                    continue
                found += 1
                assert f"{os.readlink(f'/proc/self/fd/{fd}')}/".startswith(volume.mountpoint + "/")
                os.close(fd)
    print(f"opened {found} times, refused {refused} times")


# Ways for the holder of a volume at /all to replace its directory `sub` by a link.
PLANTED = {
    "an absolute link": "rm -r /all/sub; ln -s HOST /all/sub",
    "a relative link": "rm -r /all/sub; ln -s ../../../../../../../../../..HOST /all/sub",
    "a link to a link": "rm -r /all/sub; ln -s HOST /all/step; ln -s step /all/sub",
    "a link above it": "rm -r /all/sub; mkdir /all/x; ln -s HOST /all/x/below; ln -s x /all/sub",
    "the host's root": "rm -r /all/sub; ln -s / /all/sub",
    "a magic link": "rm -r /all/sub; ln -s /proc/self/root /all/sub",
    "the volume's parent": "rm -r /all/sub; ln -s .. /all/sub",
}
SHOW = ("sh", "-c", "ls /part; cat /part/secret /part/below/secret; echo written >/part/written")


@pytest.fixture
def volume(pyctr: Pyctr) -> Path:
    """Return a volume with a directory sub/below."""
    pyctr("run", "--rm", "-v", "data:/all", "busybox", "mkdir", "-p", "/all/sub/below", check=True)
    return pyctr.root / "volumes/data/_data"


def plant(pyctr: Pyctr, host: Host, how: str) -> None:
    script = PLANTED[how].replace("HOST", str(host.directory))
    pyctr("run", "--rm", "-v", "data:/all", "busybox", "sh", "-c", script, check=True)


def is_refused(done: subprocess.CompletedProcess[str]) -> bool:
    """Return whether a command failed with one line, and at most a hint."""
    assert "Traceback" not in done.stderr
    return done.returncode != 0 and 1 <= len(done.stderr.splitlines()) <= 2 and done.stdout == ""


@pytest.mark.parametrize("how", PLANTED)
def test_a_link_in_place_of_a_subpath_is_not_followed_at_start(
    pyctr: Pyctr, host: Host, volume: Path, how: str
) -> None:
    part = "type=volume,src=data,dst=/part,volume-subpath=" + ("sub/below" if "above" in how else "sub")
    pyctr("create", "--name", "box", "--mount", part, "busybox", *SHOW, check=True)
    plant(pyctr, host, how)
    assert is_refused(pyctr("start", "-a", "box"))
    assert is_refused(pyctr("run", "--rm", "--mount", part, "busybox", *SHOW))
    done = pyctr("cp", "box:/part", "-")
    assert is_refused(done), done.stdout
    assert is_refused(pyctr("mount", "box"))
    assert pyctr("umount", "box").returncode == 1  # nothing is mounted
    assert host.look() == host.before


def test_a_link_in_place_of_a_subpath_is_not_followed_in_a_user_namespace(
    pyctr: Pyctr, host: Host, volume: Path
) -> None:
    args = ("--mount", "type=volume,src=data,dst=/part,volume-subpath=sub", "busybox")
    pyctr("create", "--name", "box", "--userns", "auto", *args, *SHOW, check=True)
    plant(pyctr, host, "an absolute link")
    assert is_refused(pyctr("start", "-a", "box"))
    assert host.look() == host.before


def test_a_link_in_place_of_a_subpath_is_not_followed_by_the_restart_policy(
    pyctr: Pyctr, host: Host, volume: Path
) -> None:
    """The container plants the link itself, and exits to be restarted."""
    script = f"cat /part/secret; rm -r /all/sub; ln -s {host.directory} /all/sub; exit 1"
    mounts = ("-v", "data:/all", "--mount", "type=volume,src=data,dst=/part,volume-subpath=sub")
    pyctr("run", "-d", "--name", "box", "--restart", "always", *mounts, "busybox", "sh", "-c", script, check=True)
    pyctr("wait", "box", check=True)
    inspect = ("inspect", "--format", "{{.State.Status}} {{.State.Error}}", "box")
    deadline = time.monotonic() + 20
    while (state := pyctr(*inspect, check=True).stdout).startswith("restarting") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert state.startswith("exited cannot access path sub of"), state
    assert "the host's" not in pyctr("logs", "box").stdout
    assert host.look() == host.before


def test_a_path_into_a_volume_is_not_followed_outside_it(pyctr: Pyctr, host: Host, volume: Path) -> None:
    """`-v` with the path of a volume's directory, and a record of an older version."""
    pyctr("create", "--name", "box", "-v", f"{volume}/sub:/part", "busybox", *SHOW, check=True)
    plant(pyctr, host, "an absolute link")
    assert is_refused(pyctr("start", "-a", "box"))
    assert host.look() == host.before


def test_a_link_inside_a_volume_is_followed(pyctr: Pyctr, volume: Path) -> None:
    (volume / "sub/file").write_text("the volume's\n")
    (volume / "link").symlink_to("sub/../sub")
    (volume / "to-file").symlink_to("link/file")
    for below, path in (
        ("link", "/part/file"),
        ("sub", "/part/file"),
        ("to-file", "/part"),
        ("sub/file", "/part"),
    ):
        args = ("--mount", f"type=volume,src=data,dst=/part,volume-subpath={below}", "busybox", "cat", path)
        assert pyctr("run", "--rm", *args, check=True).stdout == "the volume's\n"
        assert pyctr("run", "--rm", "--userns", "auto", *args, check=True).stdout == "the volume's\n"
        assert pyctr("run", "--rm", "--read-only", *args, check=True).stdout == "the volume's\n"


def test_inspect_shows_the_volumes_own_directory(pyctr: Pyctr, volume: Path) -> None:
    """As in Docker: the subpath is resolved at each start, and has no host path before."""
    part = "type=volume,src=data,dst=/part,volume-subpath=sub"
    pyctr("create", "--name", "box", "--mount", part, "busybox", check=True)
    assert pyctr("inspect", "--format", "{{(index .Mounts 0).Source}}", "box").stdout == f"{volume}\n"


def test_another_runtime_gets_a_mounted_subpath(pyctr: Pyctr, volume: Path) -> None:
    """config.json contains no path that leads through the volume; `mount` mounts the checked directory."""
    (volume / "sub/file").write_text("the volume's\n")
    args = [
        *("--mount", "type=volume,src=data,dst=/part,volume-subpath=sub"),
        *("--mount", "type=volume,src=data,dst=/file,volume-subpath=sub/file"),
    ]
    id = pyctr("create", "--name", "box", *args, "busybox", check=True).stdout.strip()
    config = json.loads((pyctr.root / "containers" / id / "config.json").read_text())
    named = {mount["destination"]: Path(mount["source"]) for mount in config["mounts"]}
    assert not named["/part"].exists()
    pyctr("mount", "box", check=True)
    assert (named["/part"] / "file").read_text() == named["/file"].read_text() == "the volume's\n"
    pyctr("rm", "box", check=True)
    assert (volume / "sub/file").read_text() == "the volume's\n"


def test_two_containers_racing_on_one_volume_never_reach_the_host(pyctr: Pyctr, host: Host) -> None:
    """One container plants links in the volume; others fill it, mount a subpath and add a device meanwhile."""
    script = (
        f"while :; do for l in a lib sub null .pyctr_lite-filling; do ln -sfn {host.directory} /v/$l; "
        f"ln -sfn {host.directory}/secret /v/$l; rm -rf /v/$l; mkdir -p /v/sub; rm -rf /v/*; done; done"
    )
    args = ("-v", "race:/v:nocopy", "busybox", "sh", "-c", script)
    pyctr("run", "-d", "--name", "attacker", *args, check=True)
    outcomes: dict[str, int] = {}
    for number in range(max(4, ROUNDS // 10)):
        (pyctr.root / "volumes/race/filling").touch()
        part = "type=volume,src=race,dst=/part,volume-subpath=sub"
        mounts = [("-v", "race:/etc"), ("--mount", part), ("-v", "race:/dev2", "--device", "/dev/null:/dev2/null")]
        done = pyctr("run", "--rm", *mounts[number % 3], "busybox", "sh", "-c", "cat /part/secret /etc/secret")
        assert "the host's" not in done.stdout
        assert "Traceback" not in done.stderr
        assert "internal error" not in done.stderr
        outcomes[done.stderr] = outcomes.get(done.stderr, 0) + 1
        assert host.look() == host.before
    print(outcomes)
    (pyctr.root / "volumes/race/filling").unlink(missing_ok=True)


def test_a_device_is_made_in_a_volume_while_its_holder_plants_links(tmp_path: Path, host: Host) -> None:
    """An attack that succeeds gives a host file the device's owner and mode."""
    (tmp_path / "root/data").mkdir(parents=True)
    secret = str(host.directory / "secret")

    def plant(chance: random.Random) -> None:
        for name in ("null", "pipe"):
            try:
                os.symlink(secret, "link")
                os.rename("link", name)
                os.unlink(name)
                os.mkfifo(name)
                os.unlink(name)
            except OSError:
                pass

    nodes = [
        {"path": "/data/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o4777, "uid": 1234, "gid": 1234},
        {"path": "/data/pipe", "type": "p", "fileMode": 0o4777, "uid": 1234, "gid": 1234},
    ]
    root_fd = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    made = refused = 0
    with Attacker(str(tmp_path / "root/data"), plant):
        for _ in range(ROUNDS):
            for node in nodes:
                try:
                    devices.make_devices(root_fd, [node])
                    made += 1
                except OSError:
                    refused += 1
            assert host.look() == host.before
    os.close(root_fd)
    print(f"made {made} times, refused {refused} times")
