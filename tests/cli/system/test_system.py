"""`version`, `info` and `doctor`, end to end: output and failures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pyctr_lite

if TYPE_CHECKING:
    from tests.conftest import Pyctr

REPOSITORY = Path(pyctr_lite.__file__).parent.parent


def test_version_shows_client_and_server(pyctr: Pyctr) -> None:
    text = pyctr("version", check=True).stdout
    assert text.startswith(f"Client: pyctr_lite\n Version:           {pyctr_lite.__version__}\n")
    assert "\n\nServer: " in text
    shown = json.loads(pyctr("version", "--format", "json", check=True).stdout)
    assert shown["Server"]["KernelVersion"] == os.uname().release
    assert pyctr("version", "-f", "{{.Client.Version}}", check=True).stdout.strip() == pyctr_lite.__version__


def test_version_and_doctor_work_without_root_but_not_info() -> None:
    script = (
        f"import sys; sys.path.append({str(REPOSITORY)!r}); from pyctr_lite.cli.main import main; sys.exit(main())"
    )

    def as_nobody(*arguments: str) -> subprocess.CompletedProcess[str]:
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        command = [*user, sys.executable, "-IS", "-c", script, "--root", "/nowhere", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd="/")

    if any(not parent.stat().st_mode & 0o001 for parent in (REPOSITORY, *REPOSITORY.parents)):
        pytest.skip(f"{REPOSITORY} is not in reach for others")
    assert as_nobody("version").returncode == 0
    done = as_nobody("doctor")
    assert done.returncode == 1
    assert "✗ root" in done.stdout
    assert "use sudo" in done.stdout
    refused = as_nobody("info")
    assert refused.returncode == 1
    assert refused.stderr.startswith("pyctr_lite: this needs root")


def test_info_counts_containers_by_state(pyctr: Pyctr) -> None:
    empty = json.loads(pyctr("info", "--format", "json", check=True).stdout)
    assert (empty["Containers"], empty["Images"]) == (0, 1)
    running, paused = (pyctr("run", "-d", "busybox", "sleep", "60", check=True).stdout.strip() for _ in range(2))
    pyctr("pause", paused, check=True)
    pyctr("create", "busybox", check=True)
    form = "{{.Containers}} {{.ContainersRunning}} {{.ContainersPaused}} {{.ContainersStopped}}"
    assert pyctr("info", "-f", form, check=True).stdout == "3 1 1 1\n"
    assert " Containers: 3\n  Running: 1\n  Paused: 1\n  Stopped: 1\n" in pyctr("info", check=True).stdout
    pyctr("rm", "-f", running, paused, check=True)


def test_info_shows_facts_about_the_machine(pyctr: Pyctr, root: Path) -> None:
    shown = json.loads(pyctr("info", "--format", "json", check=True).stdout)
    assert shown["KernelVersion"] == os.uname().release
    assert shown["Architecture"] == os.uname().machine
    assert shown["NCPU"] == len(os.sched_getaffinity(0))
    assert shown["DockerRootDir"] == str(root)
    assert shown["Driver"] == "overlay2"
    filesystem = subprocess.run(
        ["findmnt", "-n", "-o", "FSTYPE", "--target", root], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert shown["DriverStatus"] == [["Backing Filesystem", filesystem]]
    for controller, version in shown["CgroupControllers"].items():
        name = "blkio" if controller == "io" and version == 1 else controller
        fstype = "cgroup" if version == 1 else "cgroup2"
        found = [line.split(" ") for line in Path("/proc/mounts").read_text().splitlines()]
        assert any(fields[2] == fstype and (version == 2 or name in fields[3].split(",")) for fields in found), (
            controller
        )
    version2_only = all(version == 2 for version in shown["CgroupControllers"].values())
    assert version2_only or shown["CgroupVersion"] == "1"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["info", "extra"], 1, "accepts no arguments"),
        (["version", "--nope"], 125, "unknown flag: --nope"),
        (["info", "-f", "{{.Nope}}"], 1, "Nope"),
        (["info", "-f", "{{.Nope"], 64, "unclosed action"),
        (["doctor", "--fixx"], 125, "unknown flag: --fixx"),
        (["runn"], 1, "'runn' is not a pyctr_lite command"),
        (["help", "runn"], 1, "'runn' is not a pyctr_lite command"),
        (["container", "runn"], 1, "'runn' is not a pyctr_lite container command"),
        (["--runn"], 125, "unknown flag: --runn"),
    ],
)
def test_an_error_is_reported_in_one_line(pyctr: Pyctr, arguments: list[str], code: int, message: str) -> None:
    done = pyctr(*arguments)
    assert done.returncode == code
    assert message in done.stderr.splitlines()[0]
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.parametrize("verb", [[], ["run"], ["volume"], ["volume", "ls"], ["container", "ls"]])
def test_help_is_a_verb_too(pyctr: Pyctr, verb: list[str]) -> None:
    asked = pyctr("help", *verb)
    assert (asked.returncode, asked.stdout) == (0, pyctr(*verb, "--help").stdout)


def test_doctor_prints_ready_and_one_line_per_finding(pyctr: Pyctr) -> None:
    done = pyctr("doctor")
    facts = json.loads(pyctr("doctor", "--json").stdout)
    lines = [line for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [line[2] for line in lines] == ["✓" if fact["Ok"] else "✗" for fact in facts]
    for line, fact in zip(lines, facts, strict=True):
        assert line[4:].startswith(fact["Name"])
        assert fact["Ok"] or line.endswith(f" → {fact['Fix']}")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("Ready")


def test_doctor_fails_if_a_needed_feature_is_missing(pyctr: Pyctr, root: Path) -> None:
    root.chmod(0o777)
    done = pyctr("doctor")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "Not ready: root directory"
    assert pyctr("doctor", "--json").returncode == 1
    root.chmod(0o755)
    assert pyctr("doctor").returncode == 0


def test_doctor_fix_removes_leftovers_and_nothing_in_use(pyctr: Pyctr, root: Path) -> None:
    living = pyctr("run", "-d", "--name", "living", "busybox", "sleep", "60", check=True).stdout.strip()
    half = root / "containers" / ("f" * 64 + ".removing")
    (half / "upper").mkdir(parents=True)
    (half / "lock").touch()
    lost = root / "names/lost"
    lost.symlink_to("f" * 64)
    os.utime(lost, (time.time() - 3600,) * 2, follow_symlinks=False)
    done = pyctr("doctor")
    assert done.returncode == 0
    assert (
        f"✗ half containers  1 left by killed processes: {half} (optional) → pyctr_lite doctor --fix"
        in done.stdout
    )
    assert half.exists()
    fixed = pyctr("doctor", "--fix", "--json", check=True)
    assert fixed.stderr.splitlines() == [f"removed container {half}", f"removed name {lost}"]
    assert all(
        fact["Ok"] for fact in json.loads(fixed.stdout) if fact["Name"] in ("half containers", "free names")
    )
    assert not half.exists()
    assert not lost.is_symlink()
    assert pyctr("exec", "living", "echo", "it lives", check=True).stdout == "it lives\n"
    assert pyctr("doctor", "--fix", check=True).stderr == ""
    pyctr("rm", "-f", living, check=True)
