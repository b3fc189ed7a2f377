"""`make setup` and `make uninstall`, in private mount and network namespaces."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
HIDE = "".join(
    f"mount -t tmpfs tmpfs {directory}; "
    for directory in ("/usr/local/bin", "/usr/local/share", "/run", "/var/lib", "/sys/fs/cgroup")
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Create a checkout that has only the scripts, and a command that does nothing."""
    directory = tmp_path / "checkout"
    shutil.copytree(REPOSITORY / "make", directory / "make", ignore=shutil.ignore_patterns("__pycache__"))
    command = directory / ".venv/bin/pyctr_lite"
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    return directory


def on_a_machine(checkout: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script with empty state directories and an empty network. stderr goes to stdout."""
    return subprocess.run(
        ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec", HIDE + script],
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


def test_the_manual_page_is_installed_and_uninstalled(checkout: Path) -> None:
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
def test_an_existing_file_is_not_overwritten(checkout: Path, foreign: str) -> None:
    done = on_a_machine(checkout, f"{foreign}; make/setup.sh --quiet links")
    assert done.returncode == 1
    assert "error: /usr/local/bin/pyctr exists and" in done.stdout


def test_the_links_of_another_checkout_are_replaced_with_a_message(checkout: Path) -> None:
    done = on_a_machine(
        checkout, "ln -s /else/.venv/bin/pyctr_lite /usr/local/bin/pyctr; make/setup.sh --quiet links"
    )
    assert done.returncode == 0
    assert "/usr/local/bin/pyctr pointed to /else and now points to this checkout" in done.stdout


def test_a_launcher_from_before_an_update_still_works(tmp_path: Path) -> None:
    """After `git pull` it stays as it is until a make target renews it."""
    launcher = tmp_path / "pyctr_lite"
    launcher.write_text(
        f"import sys\nsys.path.append({str(REPOSITORY)!r})\n"
        "from pyctr_lite.preload import load\n"
        f"load({str(REPOSITORY / '.venv/preload')!r}, sys.argv)\n"
        "from pyctr_lite.cli.main import entry\nentry()\n"
    )
    python = REPOSITORY / ".venv/bin/python"
    done = subprocess.run(
        [python, "-ISXutf8", launcher, "--root", tmp_path, "ps", "-q"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_uninstall_removes_everything_and_can_be_repeated(checkout: Path) -> None:
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


def test_uninstall_leaves_foreign_files_and_says_so(checkout: Path) -> None:
    done = on_a_machine(
        checkout,
        """ln -s /bin/true /usr/local/bin/pyctr
        mkdir -p /run/pyctr_lite; echo 1 >/run/pyctr_lite/lxcfs.pid
        python3 -IB make/uninstall.py; readlink /usr/local/bin/pyctr; kill -0 1""",
    )
    assert done.returncode == 0, done.stdout
    assert "left: /usr/local/bin/pyctr does not belong to this checkout" in done.stdout
    assert done.stdout.endswith("/bin/true\n")


def test_uninstall_takes_ours_from_the_network_and_nothing_else(
    checkout: Path, needs: Callable[[str], str]
) -> None:
    needs("iptables-nft")
    shutil.copytree(REPOSITORY / "pyctr_lite", checkout / "pyctr_lite")
    done = on_a_machine(
        checkout,
        """ip link add docker0 type bridge
        iptables-nft -P FORWARD DROP; iptables-nft -A FORWARD -i docker0 -j ACCEPT
        show() { ip -br link; nft list ruleset; iptables-nft -S; sysctl net.ipv4.ip_forward; }
        show >before
        for name in pc-one red0; do
            ip link add $name type bridge
            ip link set $name alias "pyctr_lite /var/lib/pyctr_lite/networks/$name"
        done
        nft add table inet pyctr_lite; iptables-nft -I FORWARD -i pc-+ -j ACCEPT; nft add table bridge pyctr_lite
        python3 -IB make/uninstall.py; show | diff before -""",
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("[uninstall] done")


def test_a_state_directory_that_is_a_mount_point_is_emptied_and_stays_mounted(checkout: Path) -> None:
    done = on_a_machine(
        checkout,
        """mkdir /var/lib/pyctr_lite; mount -t tmpfs tmpfs /var/lib/pyctr_lite; mkdir /var/lib/pyctr_lite/images
        python3 -IB make/uninstall.py; mountpoint -q /var/lib/pyctr_lite; ls -A /var/lib/pyctr_lite; echo end""",
    )
    assert done.returncode == 0, done.stdout
    assert "left: /var/lib/pyctr_lite, emptied: it is a mount point" in done.stdout
    assert done.stdout.endswith("make/packages\nend\n")


def test_setup_without_root_is_refused_with_a_hint(checkout: Path) -> None:
    done = on_a_machine(
        checkout,
        """mkdir /run/checkout; mount --bind . /run/checkout; cd /run/checkout
        setpriv --reuid=65534 --clear-groups make/setup.sh root""",
    )
    assert done.returncode == 1
    assert "error: this target needs root" in done.stdout


NAMES = {
    "plain": b"plain",
    "blank": b"with blank",
    "quotes": b"with \"quotes\" and 'these' and '''three''' and $dollar `tick`",
    "backslash": rb"back\slash \n \101",
    "make": b"#hash %s percent$(shell)",
    "line break": b"line\nbreak",
    "not ASCII": "Übung café 容器".encode(),
    "not UTF-8": b"latin-1 \xe9 \xff",
    "long": b"long" * 50,
}


@pytest.mark.parametrize("locale", ["C.UTF-8", "C", "xx_YY.UTF-8", "de_DE.ISO-8859-1"])
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_the_launcher_starts_isolated_python_from_any_path(tmp_path: Path, name: bytes, locale: str) -> None:
    checkout = tmp_path / os.fsdecode(name)
    package = checkout / "pyctr_lite/cli"
    package.mkdir(parents=True)
    (checkout / "python").symlink_to("/usr/bin/python3")
    (package / "main.py").write_text(
        "import sys\n"
        "def entry():\n"
        "    print(sys.flags.isolated, sys.flags.no_site, sys.flags.utf8_mode, sys.argv[1:])\n"
        "    sys.exit(7)\n"
    )
    (checkout / "pyctr_lite/light_os.py").write_text("def install():\n    pass\n")
    (checkout / "pyctr_lite/boot.py").write_text(
        "import os, sys\n"
        "def load(directory, words, face):\n"
        "    below = '/.venv/preload/' + sys.implementation.cache_tag\n"
        "    assert directory.endswith(below)\n"
        "    assert os.path.exists(directory.removesuffix(below))\n"
    )
    environment = {"PATH": os.environ["PATH"], "LC_ALL": locale}
    script = subprocess.run(
        ["/usr/bin/python3", "-ISXutf8", REPOSITORY / "make/launcher.py", checkout / "python", checkout],
        env=environment,
        check=True,
        capture_output=True,
    )
    assert script.stdout.isascii()
    launcher = tmp_path / "launcher"
    launcher.write_bytes(script.stdout)
    launcher.chmod(0o755)
    done = subprocess.run([launcher, "a b", "ü"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "1 1 1 ['a b', 'ü']\n", "")


class Venv:
    """A checkout that needs no packages, and the .venv that make/setup.sh makes for it."""

    STEPS = ("venv", "extra", "course", "launcher")

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("make", "pyctr_lite"):
            shutil.copytree(REPOSITORY / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        (directory / "pyproject.toml").write_text(
            "[project]\ndependencies = [\n]\n[project.optional-dependencies]\ncourse = [\n]\n"
        )

    def set_up(self, *steps: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run steps of make/setup.sh, by default all that a target needs. stderr goes to stdout."""
        return subprocess.run(
            ["make/setup.sh", "--quiet", *(steps or self.STEPS)],
            cwd=self.directory,
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def python(self, program: str, **environment: str) -> str:
        """Run a program with .venv's Python from another directory, and return its output."""
        return subprocess.run(
            [self.directory / ".venv/bin/python", "-c", program],
            cwd="/",
            env={"PATH": os.environ["PATH"], **environment},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def age(self) -> None:
        """Make .venv look as if Python had been upgraded from 3.10 to today's version."""
        [library] = (self.directory / ".venv/lib").iterdir()
        library.rename(library.with_name("python3.10"))
        stamp = self.directory / ".venv/stamp-python"
        _, file, *_ = stamp.read_text().splitlines()
        stamp.write_text(f"3.10 cpython-310\n{file}\n1:1 1 1\n2:2 2 2\n")


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Venv:
    """Make one .venv for all tests, because it takes ten seconds. Each test leaves it complete."""
    made = Venv(tmp_path_factory.mktemp("venv") / "checkout")
    done = made.set_up()
    assert done.returncode == 0, done.stdout
    return made


def test_a_second_set_up_is_silent_and_starts_no_python(venv: Venv, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-qq", "-e", "trace=execve", "-o", trace, "make/setup.sh", "--quiet", *Venv.STEPS]
    done = subprocess.run(strace, cwd=venv.directory, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    started = re.findall(r'execve\("([^"]*)"', trace.read_text())
    assert any(program.endswith("/stat") for program in started)
    assert [program for program in started if "python" in program] == []


def test_a_read_only_checkout_is_used_if_complete_and_else_refused_in_one_line(venv: Venv) -> None:
    read_only = 'mount --bind . .; mount -o remount,ro,bind .; cd ../checkout; make/setup.sh --quiet "$@"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", read_only, "sh", *Venv.STEPS]

    def set_up() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=venv.directory, capture_output=True, text=True)

    done = set_up()
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    for change, problem in (
        ("pyctr_lite/errors.py", "the compiled modules are older than pyctr_lite"),
        ("make/launcher.py", "the command in .venv is missing or old"),
        ("pyproject.toml", ".venv must be made"),
    ):
        before = (venv.directory / change).read_bytes()
        (venv.directory / change).write_bytes(before.replace(b"dependencies = [\n", b"dependencies = [\n\n"))
        done = set_up()
        (venv.directory / change).write_bytes(before)
        assert done.returncode == 1
        first, _ = done.stderr.splitlines()
        assert first == f"[setup] error: {problem}, and this checkout can only be read"
    assert venv.set_up().returncode == 0


def test_after_a_python_upgrade_the_packages_are_installed_again(venv: Venv) -> None:
    venv.age()
    done = venv.set_up()
    assert done.returncode == 0, done.stdout
    assert "Python 3.10 of .venv has been replaced or removed" in done.stdout
    assert "making .venv with Python 3." in done.stdout
    assert "installing the packages that pyproject.toml lists as course" in done.stdout
    shown = venv.python("import pyctr_lite; print(pyctr_lite.__path__[0])")
    assert shown == f"{venv.directory / 'pyctr_lite'}\n"
    assert venv.set_up().stdout == ""


@pytest.mark.parametrize("left", [None, "#!/nowhere/python\n"], ids=["nothing", "a file that does not run"])
def test_a_removed_python_is_replaced_by_the_next_one(venv: Venv, tmp_path: Path, left: str | None) -> None:
    other = tmp_path / "other"
    stamp, link = venv.directory / ".venv/stamp", venv.directory / ".venv/bin/python3"
    stamp.write_text(stamp.read_text().replace("/usr/bin/python3\n", f"{other}\n"))
    link.unlink()
    link.symlink_to(other)
    if left:
        other.write_text(left)
        other.chmod(0o755)
    done = venv.set_up()
    assert done.returncode == 0, done.stdout
    assert "has been replaced or removed" in done.stdout
    assert venv.set_up().stdout == ""


def test_an_update_of_the_same_python_keeps_the_packages(venv: Venv) -> None:
    stamp = venv.directory / ".venv/stamp-python"
    version, file, *files = stamp.read_text().splitlines()
    stamp.write_text(f"{version}\n{file}\n1:1 1 1\n2:2 2 2\n")
    assert venv.set_up().stdout == ""
    assert stamp.read_text().splitlines() == [version, file, *files]


def test_a_venv_without_pip_is_reported_as_damaged(venv: Venv, tmp_path: Path) -> None:
    [pip] = (venv.directory / ".venv/lib").glob("python3*/site-packages/pip")
    pip.rename(tmp_path / "pip")
    (venv.directory / ".venv/stamp-course").unlink()
    done = venv.set_up()
    (tmp_path / "pip").rename(pip)
    assert done.returncode == 1
    assert ".venv is damaged" in done.stdout
    assert "index" not in done.stdout
    assert venv.set_up().returncode == 0


@pytest.mark.parametrize(("name", "locale"), [("Übung #1 'x' \"y\" $z %s a\\nb", "C"), ("容器", "xx_YY.UTF-8")])
def test_a_checkout_at_any_path_is_set_up_in_any_locale(tmp_path: Path, name: str, locale: str) -> None:
    venv = Venv(tmp_path / name)
    done = venv.set_up(LC_ALL=locale)
    assert done.returncode == 0, done.stdout
    for other in (locale, "de_DE.ISO-8859-1", "C.UTF-8"):
        assert venv.python("import pyctr_lite", LC_ALL=other) == ""
        command = [venv.directory / ".venv/bin/pyctr_lite", "version"]
        shown = subprocess.run(command, env={"LC_ALL": other}, capture_output=True, text=True)
        assert (shown.returncode, shown.stderr) == (0, "")
    assert venv.set_up(LC_ALL=locale).stdout == ""


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (b"a:b", "contains a colon or a line break"),
        (b"a\nb", "contains a colon or a line break"),
        (b"caf\xe9", "is not UTF-8"),
    ],
)
def test_a_path_that_a_venv_cannot_have_is_refused(tmp_path: Path, name: bytes, problem: str) -> None:
    venv = Venv(tmp_path / os.fsdecode(name))
    done = venv.set_up("venv", LC_ALL="C")
    assert done.returncode == 1
    assert done.stdout.startswith(f"[setup] error: the path of this checkout {problem}, and")
    assert not (venv.directory / ".venv").exists()
