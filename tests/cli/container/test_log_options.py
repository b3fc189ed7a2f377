"""`run --log-opt` and `--log-driver`: a bounded log of several files, which `logs` reads as one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Pyctr

LIMITS = ["--log-opt", "max-size=10k", "--log-opt", "max-file=3"]


def log_files(pyctr: Pyctr, name: str = "box") -> dict[str, int]:
    """Return the files of a container's log with their sizes."""
    path = Path(pyctr("inspect", "-f", "{{.LogPath}}", name, check=True).stdout.strip())
    return {file.name: file.stat().st_size for file in sorted(path.parent.glob(path.name + "*"))}


def test_a_log_is_rotated_and_read_as_one(pyctr: Pyctr) -> None:
    pyctr("run", "--name", "box", *LIMITS, "busybox", "seq", "1", "1000", check=True)
    files = log_files(pyctr)
    assert list(files) == ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]
    assert all(0 < size <= 10_000 for size in files.values())
    kept = pyctr("logs", "box", check=True).stdout.split()
    assert kept == [str(number) for number in range(1001 - len(kept), 1001)]
    assert len(kept) > 200
    assert pyctr("logs", "--tail", "190", "box").stdout.split() == kept[-190:]  # more lines than one file holds
    config = json.loads(pyctr("inspect", "-f", "{{json .HostConfig.LogConfig}}", "box").stdout)
    assert config == {"Type": "json-file", "Config": {"max-size": "10k", "max-file": "3"}}


def test_without_limits_the_log_is_one_file(pyctr: Pyctr) -> None:
    pyctr("run", "--name", "box", "busybox", "seq", "1", "1000", check=True)
    assert list(log_files(pyctr)) == ["log.jsonl"]
    assert len(pyctr("logs", "box").stdout.split()) == 1000
    config = json.loads(pyctr("inspect", "-f", "{{json .HostConfig.LogConfig}}", "box").stdout)
    assert config == {"Type": "json-file", "Config": {}}


def test_a_restart_continues_the_same_log(pyctr: Pyctr) -> None:
    pyctr("run", "--name", "box", *LIMITS, "busybox", "seq", "1", "150", check=True)
    for _ in range(4):
        pyctr("start", "-a", "box", check=True)
    assert all(size <= 10_000 for size in log_files(pyctr).values())
    assert pyctr("logs", "--tail", "151", "box").stdout.split() == ["150", *map(str, range(1, 151))]


def test_a_follower_follows_the_log_through_a_rotation(pyctr: Pyctr) -> None:
    script = (
        "i=0; while [ $i -lt 400 ]; do echo $i; i=$((i+1)); [ $((i % 50)) = 0 ] && usleep 100000; done; read wait"
    )
    pyctr("run", "-d", "-i", "--name", "box", *LIMITS, "busybox", "sh", "-c", script, check=True)
    command = pyctr.command("logs", "-f", "box")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        seen = [int(follower.stdout.readline()) for _ in range(400)]
        pyctr("kill", "box", check=True)
        assert follower.wait() == 0
    assert seen == list(range(400))
    assert "log.jsonl.1" in log_files(pyctr)


def test_a_flood_grows_neither_the_log_nor_our_memory(pyctr: Pyctr) -> None:
    flood = f"yes {'x' * 99} | head -c 40000000; echo done; sleep 60"
    limits = ["--log-opt", "max-size=1m", "--log-opt", "max-file=2"]
    pyctr("run", "-d", "--name", "box", *limits, "busybox", "sh", "-c", flood, check=True)
    (id,) = pyctr("ps", "-q", "--no-trunc").stdout.split()
    monitor = json.loads((pyctr.root / "containers" / id / "state.json").read_text())["MonitorPid"]

    def peak() -> int:
        with open(f"/proc/{monitor}/status") as status:
            return int(next(line for line in status if line.startswith("VmHWM")).split()[1])

    before = peak()
    with subprocess.Popen(pyctr.command("logs", "-f", "--tail", "1", "box"), stdout=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        for line in follower.stdout:
            if line == b"done\n":
                break
        assert peak() < before + 2000  # kB
        assert sum(log_files(pyctr).values()) <= 2_000_000
        pyctr("kill", "box", check=True)
        follower.stdout.read()


def test_logs_of_a_container_without_a_log_is_refused(pyctr: Pyctr) -> None:
    done = pyctr("run", "--name", "box", "--log-driver", "none", "busybox", "echo", "seen")
    assert done.stdout == "seen\n"
    shown = pyctr("inspect", "-f", "{{.HostConfig.LogConfig.Type}} [{{.LogPath}}]", "box").stdout
    assert shown == "none []\n"
    done = pyctr("logs", "box")
    assert (done.returncode, "has no log" in done.stderr) == (1, True)
    assert not list(pyctr.root.glob("containers/*/log*"))


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--log-opt", "max-size=0"], "must be a positive number"),
        (["--log-opt", "max-size=ten"], "invalid max-size: 'ten'"),
        (["--log-opt", "max-size=1m", "--log-opt", "max-file=0"], "max-file cannot be less than 1"),
        (["--log-opt", "max-age=1"], "unknown log opt 'max-age' for json-file log driver"),
        (["--log-driver", "none", "--log-opt", "max-size=1m"], "unknown log opt 'max-size' for none log driver"),
        (["--log-driver", "syslog"], "no log driver named 'syslog'"),
    ],
)
def test_an_unsupported_option_is_refused(pyctr: Pyctr, args: list[str], text: str) -> None:
    done = pyctr("run", *args, "busybox", "true")
    assert (done.returncode, text in done.stderr) == (125, True)
    assert pyctr("ps", "-aq").stdout == ""


def test_a_size_is_decimal_as_in_docker() -> None:
    from pyctr_lite.engine.log import options

    sizes = {"1k": 1000, "10m": 10**7, "1.5g": 1_500_000_000, "512": 512, "2 MB": 2 * 10**6, "3kib": 3000, "-1": 0}
    for text, size in sizes.items():
        assert options.parse("json-file", {"max-size": text}) == (size, 1)
    assert options.parse("json-file", {"max-file": "3"}) == (0, 3)


def test_lines_have_the_requested_attributes(pyctr: Pyctr) -> None:
    asked = {
        "labels": "one,missing",
        "labels-regex": "^pre",
        "env": "SHOWN",
        "env-regex": "^Q",
        "tag": "{{.Name}}/{{ .ID }}",
        "mode": "non-blocking",
        "max-buffer-size": "4m",
    }
    options = [arg for name, value in asked.items() for arg in ("--log-opt", f"{name}={value}")]
    values = ["-l", "one=1 &", "-l", "prefix=p", "-l", "other=o", "-e", "SHOWN=s", "-e", "QUX=q", "-e", "HIDDEN=h"]
    script = "echo out; echo err >&2; printf 'no end \\377'"
    pyctr("run", "--name", "box", *options, *values, "busybox", "sh", "-c", script, check=True)
    id = pyctr("inspect", "-f", "{{.Id}}", "box").stdout[:12]
    expected = {"QUX": "q", "SHOWN": "s", "one": "1 &", "prefix": "p", "tag": f"box/{id}"}
    lines = Path(pyctr("inspect", "-f", "{{.LogPath}}", "box").stdout.strip()).read_text().splitlines()
    assert [json.loads(line)["attrs"] for line in lines] == [expected] * 3
    assert list(json.loads(lines[0])) == ["log", "stream", "attrs", "time"]
    shown = pyctr("logs", "--details", "box")
    details = f"QUX=q,SHOWN=s,one=1+%26,prefix=p,tag=box%2F{id}"
    assert (shown.stdout.splitlines()[0], shown.stderr) == (f"{details} out", f"{details} err\n")
    assert pyctr("logs", "box").stdout.startswith("out\n")
    config = json.loads(pyctr("inspect", "-f", "{{json .HostConfig.LogConfig.Config}}", "box").stdout)
    assert config == asked


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["mode=fast"], "logging mode not supported: fast"),
        (["max-buffer-size=4m"], "only supported with 'mode=non-blocking'"),
        (["mode=non-blocking", "max-buffer-size=x"], "error parsing option max-buffer-size"),
        (["labels-regex=("], "labels-regex"),
        (["env-regex=["], "env-regex"),
        (["tag={{.Nope}}"], "invalid log tag"),
        (["tag={{if .Name}}"], "invalid log tag"),
    ],
)
def test_wrong_log_options_are_refused(pyctr: Pyctr, options: list[str], message: str) -> None:
    args = [arg for option in options for arg in ("--log-opt", option)]
    done = pyctr("run", "--rm", *args, "busybox", "true")
    assert done.returncode == 125
    assert message in done.stderr
