"""The Python API: safe to call from any thread, with a helper process that ends with its owner."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyctr_lite import preload
from pyctr_lite.engine.api.client import Client
from pyctr_lite.errors import NotFound, ProgramError
from tests.conftest import REPOSITORY


def test_run_returns_output_and_exit_code(client: Client) -> None:
    done = client.run("busybox", ["sh", "-c", "echo out; echo err >&2; exit 3"], remove=True)
    assert (done.exit_code, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert client.engine.containers.list() == []


def test_input_reaches_the_program(client: Client) -> None:
    data = os.urandom(3 << 20)
    done = client.run("busybox", ["cat"], input=data, remove=True)
    assert done.stdout == data


def test_errors_keep_their_class(client: Client) -> None:
    with pytest.raises(NotFound, match="No such image"):
        client.run("nothing", ["true"])
    with pytest.raises(ProgramError, match="not found"):
        client.run("busybox", ["nosuch"], remove=True)
    assert client.run("busybox", ["true"], remove=True).exit_code == 0


def test_start_and_exec(client: Client) -> None:
    container = client.start("busybox", ["sleep", "60"], name="box")
    assert container.state.Status == "running"
    assert client.exec("box", ["echo", "hello"]).stdout == b"hello\n"
    assert client.exec("box", ["sh", "-c", "exit 4"]).exit_code == 4
    assert client.exec("box", ["cat"], input=b"abc").stdout == b"abc"


def test_a_client_can_be_used_from_several_threads(client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = pool.map(lambda n: client.run("busybox", ["echo", str(n)], remove=True).stdout, range(16))
        assert list(results) == [f"{n}\n".encode() for n in range(16)]


def test_a_killed_helper_is_replaced(client: Client) -> None:
    client.warm()
    assert client._helper is not None
    first = client._helper
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert client.run("busybox", ["true"], remove=True).exit_code == 0
    assert client._helper is not first


def test_a_run_leaks_no_descriptor(client: Client) -> None:
    client.run("busybox", ["true"], remove=True)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        client.run("busybox", ["true"], remove=True)
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_helper_has_what_its_monitors_would_import_each_time() -> None:
    """For the command line, `test_start_up` sees that a monitor imports nothing but these."""
    names = [f"pyctr_lite.{name}" for name in (*preload.MONITOR, *preload.CLI["create"][-3:])]
    program = f"import sys; import pyctr_lite.engine.api.helper; print({{*{names}}} - sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_the_helper_ends_even_if_its_owner_is_killed(root: Path) -> None:
    program = (
        f"import sys, time; sys.path.append({str(REPOSITORY)!r})\n"
        "from pyctr_lite.engine.api.client import Client\n"
        f"client = Client({str(root)!r}); client.warm(); print(client._helper.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        helper = os.pidfd_open(int(owner.stdout.readline()))
        assert select.select([helper], [], [], 0)[0] == []
        owner.kill()
    assert select.select([helper], [], [], 60)[0] == [helper]
    os.close(helper)
