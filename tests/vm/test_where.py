"""Where make's words are carried out: in the VM, or right here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
COMMANDS = ("sh", "dirname", "uname", "id")

pytestmark = pytest.mark.skipif(
    Path("/var/lib/pyctr_vm/is_the_vm").exists(), reason="in the VM every word is carried out right there"
)


class Laptop:
    """A checkout's folder with where.sh in it, and a PATH with or without Vagrant."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.bin = directory, directory / "bin"
        self.bin.mkdir()
        for name in COMMANDS:
            found = shutil.which(name)
            assert found
            (self.bin / name).symlink_to(found)
        (directory / "vagrant").mkdir()
        shutil.copy(REPOSITORY / "vagrant/where.sh", directory / "vagrant")

    def install_vagrant(self) -> None:
        self.write("vagrant", "exit 1")

    def is_a_mac(self) -> None:
        self.write("uname", "echo Darwin")

    def write(self, name: str, script: str) -> None:
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def has_a_machine(self) -> None:
        place = self.directory / ".vagrant/machines/default/libvirt"
        place.mkdir(parents=True)
        (place / "id").write_text("a-b-c")

    def where(self, *words: str, **environment: str) -> str:
        done = subprocess.run(
            ["sh", self.directory / "vagrant/where.sh", *words],
            env={"PATH": str(self.bin), **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout.strip()


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    return Laptop(tmp_path)


def test_as_root_on_linux_it_is_right_here(laptop: Laptop) -> None:
    assert laptop.where("lab3") == "here"
    laptop.install_vagrant()
    assert laptop.where("lab3") == "here"


def test_where_this_checkout_has_a_machine_it_is_there(laptop: Laptop) -> None:
    laptop.install_vagrant()
    laptop.has_a_machine()
    assert laptop.where("lab3") == "vm"


def test_a_mac_with_vagrant_uses_the_vm_before_it_is_made(laptop: Laptop) -> None:
    laptop.is_a_mac()
    assert laptop.where("lab3") == "here"
    laptop.install_vagrant()
    assert laptop.where("lab3") == "vm"


def test_a_user_on_linux_uses_the_vm(laptop: Laptop) -> None:
    laptop.install_vagrant()
    laptop.write("id", "echo 1000")
    assert laptop.where("lab3") == "vm"


@pytest.mark.parametrize("word", ["help", "box", "test-vm", "uninstall", "lint", "format"])
def test_a_word_about_this_machine_is_done_here(laptop: Laptop, word: str) -> None:
    laptop.install_vagrant()
    laptop.has_a_machine()
    assert laptop.where(word) == "here"


def test_a_person_can_decide(laptop: Laptop) -> None:
    laptop.install_vagrant()
    assert laptop.where("lab3", VM="1") == "vm"
    laptop.has_a_machine()
    assert laptop.where("lab3", VM="0") == "here"
