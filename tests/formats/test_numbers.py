"""Numbers, sizes, times, signals and ids from a user: ASCII, bounded, and one clear line for anything else."""

from __future__ import annotations

import ast
import subprocess
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.formats import number
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from tests.conftest import Pyctr

WRONG = {
    "superscript": "²",
    "arabic": "٣",
    "long": "9" * 5000,
    "byte": b"\xff",
    "under": "1__0",
}
RUN_FLAGS = (
    "blkio-weight cpu-period cpu-quota cpu-shares cpus cpuset-cpus cpuset-mems device-cgroup-rule=c_*: "
    "device-read-bps=/dev/null: health-interval= health-retries health-start-period health-timeout memory "
    "memory-reservation memory-swap oom-score-adj pids-limit restart=on-failure: shm-size stop-signal "
    "stop-timeout "
    "tmpfs=/x:size= ulimit=nofile= user userns=auto:size= log-opt=max-size= mount=type=tmpfs,dst=/x,tmpfs-size= "
    "mount=type=tmpfs,dst=/x,tmpfs-mode= group-add sysctl=net.core.somaxconn= publish-all"
).split()


def command(pyctr: Pyctr, *args: str | bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*pyctr.command()[:3], *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


def assert_one_clear_line(done: subprocess.CompletedProcess[bytes], *context: object) -> None:
    assert done.returncode, (context, done)
    assert b"Traceback" not in done.stderr, (context, done)
    assert b"internal error" not in done.stderr, (context, done.stderr[:300])


def joined(before: str, text: str | bytes) -> bytes:
    return before.replace("_", " ").encode() + (text.encode() if isinstance(text, str) else text)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", WRONG)
def test_every_numeric_flag_of_run_refuses_other_text(pyctr: Pyctr, kind: str) -> None:
    for flag in RUN_FLAGS:
        name, _, before = flag.partition("=")
        args = ["run", "--rm", "--log-driver=json-file", joined(f"--{name}={before}", WRONG[kind])]
        assert_one_clear_line(command(pyctr, *args, "busybox", "true"), flag, kind)
    assert pyctr("ps", "-aq").stdout == ""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", WRONG)
def test_every_numeric_flag_of_other_verbs_refuses_other_text(pyctr: Pyctr, kind: str) -> None:
    pyctr("create", "--name", "box", "busybox", "true", check=True)
    wrong = joined("", WRONG[kind])
    for args in (
        ["logs", "--tail", wrong, "box"],
        ["logs", "--since", wrong, "box"],
        ["logs", "--until", wrong, "box"],
        ["events", "--until", wrong],
        ["ps", "-n", wrong],
        ["ps", "--filter", b"exited=x" + wrong],
        ["ps", "--filter", b"expose=" + wrong + b"/tcp"],
        ["ps", "--filter", b"publish=1-" + wrong + b"/tcp"],
        ["kill", "-s", wrong, "box"],
        ["stop", "-t", wrong, "box"],
        ["stop", "-s", wrong, "box"],
        ["restart", "-t", wrong, "box"],
        ["update", "-m", wrong, "box"],
        ["update", "--cpus", wrong, "box"],
        ["update", "--cpuset-cpus", wrong, "box"],
        ["update", "--restart", b"on-failure:" + wrong, "box"],
        ["exec", "-u", wrong, "box", "true"],
        ["container", "prune", "-f", "--filter", b"until=" + wrong],
        ["image", "prune", "-f", "--filter", b"until=" + wrong],
        ["commit", "-c", b"EXPOSE " + wrong, "box"],
        ["commit", "-c", b"STOPSIGNAL " + wrong, "box"],
        ["commit", "-c", b"HEALTHCHECK --retries=" + wrong + b" CMD true", "box"],
        ["commit", "-c", b"HEALTHCHECK --interval=" + wrong + b"s CMD true", "box"],
        ["attach", "--detach-keys", b"ctrl-" + wrong, "box"],
        ["inspect", "-f", b'{{printf "%' + wrong + b'd" 1 | json | nothing}}', "box"],
    ):
        assert_one_clear_line(command(pyctr, *args), args[:3], kind)


@pytest.mark.parametrize(
    "flag", ["--hostname", "--domainname", "--cpuset-cpus", "--name", "--stop-signal", "--user"]
)
def test_bytes_that_are_not_utf_8_are_refused(pyctr: Pyctr, flag: str) -> None:
    done = command(pyctr, "run", "--rm", flag, b"\xff", "busybox", "true")
    assert_one_clear_line(done, flag)
    for name in (b"\xff", b"a\nb", b"a b", b""):
        assert_one_clear_line(command(pyctr, "run", "--rm", "--add-host", name + b":1.2.3.4", "busybox", "true"))
    assert pyctr("ps", "-aq").stdout == ""


@pytest.mark.parametrize("seconds", ["999999999999", "9223372036854775807", "999999999999999999999"])
def test_a_time_beyond_the_last_year_causes_no_traceback(pyctr: Pyctr, seconds: str) -> None:
    pyctr("run", "--name", "box", "busybox", "echo", "hello", check=True)
    done = pyctr("logs", "--since", seconds, "box")
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    if len(seconds) > 19:
        assert done.stderr.startswith('pyctr_lite: invalid value for "since"')


def test_the_longest_timeouts_are_accepted(pyctr: Pyctr) -> None:
    long = ("--stop-timeout", "9223372036854775807", "--health-interval", "2562047h", "--health-cmd", "true")
    pyctr("run", "-d", "--name", "box", *long, "busybox", "top", check=True)
    done = pyctr("stop", "-s", "KILL", "-t", "9223372036854775807", "box")
    assert (done.stdout, done.stderr) == ("box\n", "")
    pyctr("start", "box", check=True)
    pyctr("restart", "-s", "KILL", "box", check=True)
    pyctr("rm", "-f", "box", check=True)


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("007", 7), ("9223372036854775807", 2**63 - 1), ("0" * 40, 0)]
)
def test_a_whole_number_is_parsed(text: str, value: int) -> None:
    assert number.is_whole(text)
    assert number.whole(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", " 1", "1 ", "1_0", "0x1", "1.0", "²", "٣", "9223372036854775808", "0" * 41, "9" * 5000],
)
def test_text_that_is_not_a_whole_number_is_refused(text: str) -> None:
    assert not number.is_whole(text)
    with pytest.raises(ValueError, match="not a whole number"):
        number.whole(text)


READERS = {
    "cgroups/controllers.py": "the kernel's",
    "cgroups/device_filter.py": "OCI's, checked before, or ours",
    "cgroups/group.py": "the kernel's",
    "cgroups/oci_stats.py": "the kernel's",
    "cgroups/rare.py": "the kernel's",
    "cgroups/stats.py": "the kernel's",
    "engine/doctor/kernel.py": "the kernel's",
    "engine/report/processes.py": "the kernel's",
    "linux/mountinfo.py": "the kernel's",
    "namespaces/create.py": "our child's",
    "namespaces/unpopulated.py": "our child's",
    "rootfs/tarfield.py": "bytes, whose isdigit is ASCII's; bounded there",
    "runtime/kernel_paths.py": "the kernel's",
    "runtime/hooks.py": "our child's",
    "runtime/launched.py": "the kernel's",
    "runtime/process.py": "the kernel's",
    "runtime/shared_proc.py": "the kernel's",
    "runtime/state.py": "the kernel's",
    "runtime/capabilities.py": "the kernel's",
    "formats/number.py": "here it is done",
}
"""The modules that may test a string for digits, and the source of that string."""
NO_TEXT = set(
    "cli/container/options.py cli/container/exec.py cli/command/report.py cli/command/output.py "
    "cli/screen/terminal.py engine/api/client.py engine/life/wait.py engine/doctor/tools.py engine/engine.py "
    "engine/life/execute.py "
    "engine/life/health_monitor.py engine/life/health_probe.py images/bootstrap.py jsonfile.py linux/mounts.py "
    "namespaces/idmap.py networks/watch.py oci/containers.py oci/main.py runtime/seccomp_compiler.py "
    "volumes/fields.py".split()
)
"""Modules in which `int(…)` converts a value that is not text, or text that was checked (octal digits, JSON)."""


def test_only_one_module_parses_untrusted_digits() -> None:
    """No other module uses `isdigit` and the like; `int(…)` is used only in modules that import `number`."""
    found = []
    for path in sorted((REPOSITORY / "pyctr_lite").rglob("*.py")):
        name = str(path.relative_to(REPOSITORY / "pyctr_lite"))
        text = path.read_text()
        looks_first = (
            "import number" in text or ", number" in text or "from pyctr_lite.formats.number import" in text
        )
        for node in ast.walk(ast.parse(text)) if name not in READERS else ():
            if isinstance(node, ast.Attribute) and node.attr in ("isdigit", "isdecimal", "isnumeric"):
                found.append(f"{name}:{node.lineno}: .{node.attr}")
            if not isinstance(node, ast.Call) or name in NO_TEXT or looks_first:
                continue
            if ast.unparse(node.func) in ("int", "float"):
                found.append(f"{name}:{node.lineno}: {ast.unparse(node)}")
    assert found == []
