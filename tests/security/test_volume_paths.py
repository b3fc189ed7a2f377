"""Links that a container puts into a volume while the engine works in it: none leads to a file of the host.

The attacker here is a process that has nothing but a volume's `_data` (chroot(2)), as a container that holds the
volume has; it is not slowed down by starting programs. `PYCTR_RACE_ROUNDS` says how often a race is run.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.rootfs import walk
from pyctr_lite.volumes import fill
from pyctr_lite.volumes.store import VolumeStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = int(os.environ.get("PYCTR_RACE_ROUNDS", "60"))


class Host:
    """Files of the host's that nothing may touch."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(mode=0o700)
        (directory / "secret").write_text("the host's")
        (directory / "secret").chmod(0o600)
        self.before = self.look()

    def look(self) -> list[tuple[str, int, int, int, int, str]]:
        """What is to stay as it is: names, modes, owners, links and contents."""
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
    """A root file system with files that a link in their place would make the host's: setuid, linked, deep."""
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
    """A process that runs `work` again and again in a directory that is its `/`, until it is ended."""

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
                        pass  # the engine was there first
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
    """Remove what two sides left, while one of them still works in it: as safe as the engine must be."""
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
    """A setuid mode, an owner or a hard link would go to a file of the host."""
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
            marker.touch()  # as after a kill: it is filled whatever the other has put there
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
def test_a_link_that_lies_there_already_is_left_alone(
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
