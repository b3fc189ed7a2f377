"""What `make setup` and `make uninstall` do to a machine: tried on a view of it that only the test sees."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
HIDE = "".join(
    f"mount -t tmpfs tmpfs {place}; "
    for place in ("/usr/local/bin", "/usr/local/share", "/run", "/var/lib", "/sys/fs/cgroup")
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing in it but the scripts, and a command that does nothing."""
    directory = tmp_path / "checkout"
    shutil.copytree(REPOSITORY / "make", directory / "make", ignore=shutil.ignore_patterns("__pycache__"))
    command = directory / ".venv/bin/pyctr_lite"
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    return directory


def on_a_machine(checkout: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in a mount namespace where our places are empty; what it says goes to stdout."""
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", HIDE + script],
        cwd=checkout,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_links_lead_to_the_checkout(checkout: Path) -> None:
    done = on_a_machine(
        checkout, "make/setup.sh --quiet links; readlink /usr/local/bin/pyctr_lite /usr/local/bin/pyctr"
    )
    assert done.stdout.split() == [str(checkout / ".venv/bin/pyctr_lite")] * 2


def test_the_manual_page_is_written_where_man_finds_it_and_goes_with_uninstall(checkout: Path) -> None:
    shutil.copytree(REPOSITORY / "pyctr_lite", checkout / "pyctr_lite")
    (checkout / ".venv/bin/python").symlink_to("/usr/bin/python3")
    pages = "/usr/local/share/man/man1"
    done = on_a_machine(
        checkout,
        f"""make/setup.sh --quiet manual; touch -d 2000-01-01 {pages}/pyctr.1; make/setup.sh --quiet manual
        head -c 19 {pages}/pyctr_lite.1; echo; readlink {pages}/pyctr.1
        python3 -IB make/uninstall.py; ls -A {pages}""",
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[:2] == ['.TH PYCTR_LITE 1 ""', "pyctr_lite.1"]
    assert done.stdout.endswith("make/packages\n")


@pytest.mark.parametrize("foreign", ["echo mine >/usr/local/bin/pyctr", "ln -s /bin/true /usr/local/bin/pyctr"])
def test_a_file_of_somebody_else_is_not_overwritten(checkout: Path, foreign: str) -> None:
    done = on_a_machine(checkout, f"{foreign}; make/setup.sh --quiet links")
    assert done.returncode == 1
    assert "error: /usr/local/bin/pyctr is there and" in done.stdout


def test_the_links_of_another_checkout_are_taken_over_aloud(checkout: Path) -> None:
    done = on_a_machine(
        checkout, "ln -s /else/.venv/bin/pyctr_lite /usr/local/bin/pyctr; make/setup.sh --quiet links"
    )
    assert done.returncode == 0
    assert "/usr/local/bin/pyctr pointed to /else: now to this checkout" in done.stdout


def test_uninstall_takes_everything_away_and_can_be_repeated(checkout: Path) -> None:
    done = on_a_machine(
        checkout,
        """make/setup.sh --quiet links
        mkdir -p /var/lib/pyctr_lite/containers /var/lib/pyctr_lite/volumes/deep /run/pyctr_lite build
        python3 -c 'import os; os.chdir("/var/lib/pyctr_lite/volumes/deep")
for _ in range(2000): os.mkdir("deep"); os.chdir("deep")'
        mount -t tmpfs tmpfs /var/lib/pyctr_lite/containers
        touch /var/lib/pyctr_lite/containers/file
        python3 -IB make/uninstall.py; python3 -IB make/uninstall.py
        ls -A /usr/local/bin /var/lib .; ls -d /run/pyctr_lite || true""",
    )
    assert done.returncode == 0, done.stdout
    listing = done.stdout[done.stdout.index(".:") :].splitlines()
    assert listing[:2] == [".:", "make"]
    assert listing[2:-1] == ["", "/usr/local/bin:", "", "/var/lib:"]
    assert "cannot access '/run/pyctr_lite'" in listing[-1]


def test_uninstall_leaves_what_is_not_ours_and_says_so(checkout: Path) -> None:
    done = on_a_machine(
        checkout,
        """ln -s /bin/true /usr/local/bin/pyctr
        mkdir -p /run/pyctr_lite; echo 1 >/run/pyctr_lite/lxcfs.pid
        python3 -IB make/uninstall.py; readlink /usr/local/bin/pyctr; kill -0 1""",
    )
    assert done.returncode == 0, done.stdout
    assert "left: /usr/local/bin/pyctr is not this checkout's" in done.stdout
    assert done.stdout.endswith("/bin/true\n")


def test_a_state_directory_that_is_a_disk_of_its_own_is_emptied_and_stays_mounted(checkout: Path) -> None:
    done = on_a_machine(
        checkout,
        """mkdir /var/lib/pyctr_lite; mount -t tmpfs tmpfs /var/lib/pyctr_lite; mkdir /var/lib/pyctr_lite/images
        python3 -IB make/uninstall.py; mountpoint -q /var/lib/pyctr_lite; ls -A /var/lib/pyctr_lite; echo end""",
    )
    assert done.returncode == 0, done.stdout
    assert "left: /var/lib/pyctr_lite, emptied: it is a mount" in done.stdout
    assert done.stdout.endswith("make/packages\nend\n")


def test_without_root_it_says_what_would_help(checkout: Path) -> None:
    done = on_a_machine(
        checkout,
        """mkdir /run/checkout; mount --bind . /run/checkout; cd /run/checkout
        setpriv --reuid=65534 --clear-groups make/setup.sh root""",
    )
    assert done.returncode == 1
    assert "error: this target needs root" in done.stdout


@pytest.mark.parametrize("name", ["plain", "with blank", 'with "quotes" and $dollar', "long" * 50])
def test_the_launcher_starts_isolated_python_wherever_the_checkout_lies(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    package = place / "pyctr_lite/cli"
    package.mkdir(parents=True)
    (place / "python").symlink_to("/usr/bin/python3")
    (package / "main.py").write_text(
        "import sys\n"
        "def entry():\n"
        "    print(sys.flags.isolated, sys.flags.no_site, sys.argv[1:])\n"
        "    sys.exit(7)\n"
    )
    (place / "pyctr_lite/preload.py").write_text(
        "def load(path, words):\n    assert path.endswith('/.venv/preload')\n"
    )
    script = subprocess.run(
        ["sh", REPOSITORY / "make/launcher.sh", place / "python", place], check=True, capture_output=True
    )
    launcher = place / "launcher"
    launcher.write_bytes(script.stdout)
    launcher.chmod(0o755)
    done = subprocess.run([launcher, "a b", "c"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "1 1 ['a b', 'c']\n", "")
