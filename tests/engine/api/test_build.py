"""Builds by the Python API: the images, events and errors of `pyctr_lite build`."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pyctr_lite.engine.build.build import BuildError
from pyctr_lite.errors import InvalidArgument, NotFound, PyctrError
from tests.conftest import REPOSITORY, SLOWNESS

if TYPE_CHECKING:
    from pyctr_lite.engine.api.client import Client


def write(path: Path, text: str) -> str:
    """Write a Dockerfile, and return its directory."""
    (path / "Dockerfile").write_text(text)
    return str(path)


def left(client: Client) -> list[str]:
    """Return what is left of builds: containers, and directories of running ones."""
    root = Path(client.engine.paths.root)
    return [
        *(it.id for it in client.engine.containers.list()),
        *(str(path) for path in root.glob("build/running/*")),
    ]


def test_an_image_is_built_with_its_tags_arguments_and_labels(client: Client, tmp_path: Path) -> None:
    context = write(tmp_path, "FROM busybox\nARG WHO\nRUN echo hello $WHO > /greeting\nCMD cat /greeting\n")
    image = client.build(context, tags=["one", "two:2"], build_args={"WHO": "you"}, labels={"a": "b"})
    assert image.id == client.engine.images.get("one").id == client.engine.images.get("two:2").id
    assert image.config["config"]["Labels"] == {"a": "b"}
    assert client.run("one", remove=True).stdout == b"hello you\n"
    assert left(client) == []


def test_the_image_is_the_one_of_the_command_line(client: Client, tmp_path: Path) -> None:
    context = write(tmp_path, "FROM busybox\nRUN date > /now\n")
    image = client.build(context, memory=64 << 20, ulimits=[("nofile", 77, 77)])
    command = [sys.executable, "-m", "pyctr_lite", "--root", client.engine.paths.root, "build", "-q"]
    command += ["-m", "64m", "--ulimit", "nofile=77:77", context]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == f"{image.id}\n"


def test_every_event_of_a_step_is_reported(client: Client, tmp_path: Path) -> None:
    context = write(tmp_path, "FROM busybox\nRUN printf 'a\\377'\nRUN echo b\n")
    events: list[tuple[str, str, bytes]] = []
    client.build(context, lambda *event: events.append(event), build_args={"unused": "x"})
    run = "[2/3] RUN printf 'a\\377'"
    assert [it for it in events if it[0] == run] == [
        (run, "started", b""),
        (run, "output", b"a\xff"),
        (run, "done", b""),
    ]
    assert ("", "warning", b"One or more build-args [unused] were not consumed") in events
    events.clear()
    client.build(context, lambda *event: events.append(event))
    assert [it[1] for it in events if it[0] == run] == ["started", "cached", "done"]


def test_input_is_a_dockerfile_or_a_context(client: Client, tmp_path: Path) -> None:
    assert client.build("-", input=b"FROM busybox\nLABEL from=input\n").config["config"]["Labels"]
    (tmp_path / "file").write_text("of the context")
    image = client.build(str(tmp_path), dockerfile="-", input=b"FROM busybox\nCOPY file /\nCMD cat file\n")
    assert client.run(image.id, remove=True).stdout == b"of the context"
    packed = io.BytesIO()
    write(tmp_path, "FROM busybox\nCOPY file /\nCMD cat file\n")
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(tmp_path, ".")
    assert client.build("-", input=packed.getvalue()).id


def test_the_result_can_be_a_directory(client: Client, tmp_path: Path) -> None:
    context = write(tmp_path, "FROM scratch\nCOPY Dockerfile /d/copy\n")
    client.build_output(f"{tmp_path}/out", context)
    assert (tmp_path / "out/d/copy").read_text().startswith("FROM scratch")
    client.build_output(f"type=tar,dest={tmp_path}/out.tar", context)
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert archive.getnames() == ["d", "d/copy"]
    with pytest.raises(InvalidArgument, match='unsupported output type "x"'):
        client.build_output("type=x", context)


def test_an_error_has_the_lines_of_the_dockerfile(client: Client, tmp_path: Path) -> None:
    context = write(tmp_path, "FROM busybox\nRUN true\nRUN false\n")
    events: list[tuple[str, str, bytes]] = []
    with pytest.raises(BuildError, match="did not complete successfully: exit code: 1") as caught:
        client.build(context, lambda *event: events.append(event))
    assert (caught.value.name, caught.value.first) == ("Dockerfile", 3)
    assert "   3 | >>> RUN false" in caught.value.excerpt
    assert events[-1] == ("[3/3] RUN false", "failed", b"")
    assert left(client) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tags": ["BAD"]}, "repository name (library/BAD) must be lowercase"),
        ({"tags": "one"}, "tags must be a list of strings without NUL, not 'one'"),
        ({"platform": "linux/s390x"}, "cannot build for linux/s390x"),
        ({"secrets": ["src=/x"]}, "secret 'src=/x': id is missing"),
        ({"cache_to": ["type=registry"]}, 'unsupported cache type "registry"'),
        ({"cache_from": ["type=local,src=/x"]}, 'unsupported cache type "local"'),
        ({"allow": ["all"]}, "unknown entitlement key all"),
        ({"memory": "64m"}, "memory must be a number of bytes, not '64m'"),
        ({"memory": 5}, "Minimum memory limit allowed is 6MB"),
        ({"add_hosts": ["x"]}, 'bad format for add-host: "x"'),
        ({"no_cache": 1}, "no_cache must be True or False, not 1"),
    ],
)
def test_a_wrong_option_is_refused(client: Client, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        client.build(write(tmp_path, "FROM busybox\n"), **options)
    assert message in caught.value.message


def test_unknown_options_and_missing_contexts_are_refused(client: Client, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="tag"):
        client.build(str(tmp_path), tag="one")
    with pytest.raises(NotFound, match=r'path "/no/such" not found'):
        client.build("/no/such")


LONG = b"FROM busybox\nRUN echo ready; sleep 1000\n"


def test_an_exception_of_the_callback_ends_the_build(client: Client) -> None:
    def stop(step: str, what: str, data: bytes) -> None:
        if what == "output":
            assert left(client)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.build("-", stop, input=LONG)
    assert left(client) == []


def test_others_can_use_the_client_while_it_builds(client: Client) -> None:
    began, ended = threading.Event(), threading.Event()

    def report(step: str, what: str, data: bytes) -> None:
        if what == "output":
            began.set()
            assert ended.wait(60)

    text = b"FROM busybox\nRUN echo ready\n"
    builder = threading.Thread(target=client.build, args=("-", report), kwargs={"input": text, "tags": ["it"]})
    builder.start()
    assert began.wait(60)
    assert client.run("busybox", ["echo", "hello"], remove=True).stdout == b"hello\n"
    ended.set()
    builder.join()
    assert client.engine.images.get("it").id


def test_a_killed_build_is_an_error(client: Client) -> None:
    def kill(step: str, what: str, data: bytes) -> None:
        if what == "output":
            found = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
            subprocess.run(["kill", "-9", *found], check=True)

    with pytest.raises(PyctrError, match="the build's process was killed"):
        client.build("-", kill, input=LONG)
    wait_until_nothing_is_left(client)


def test_a_build_ends_with_its_program(client: Client) -> None:
    program = (
        f"import sys; sys.path.append({str(REPOSITORY)!r})\n"
        "from pyctr_lite.engine.api.client import Client\n"
        f"client = Client({client.engine.paths.root!r})\n"
        f"client.build('-', lambda step, what, data: print(data, flush=True), input={LONG!r})\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert any("ready" in line for line in owner.stdout)
        assert left(client)
        owner.kill()
    wait_until_nothing_is_left(client)


def test_a_build_leaks_no_descriptor(client: Client) -> None:
    client.build("-", input=b"FROM busybox\n")
    before = len(os.listdir("/proc/self/fd"))
    client.build("-", input=b"FROM busybox\n")
    assert len(os.listdir("/proc/self/fd")) == before


def wait_until_nothing_is_left(client: Client) -> None:
    """Wait until a build's guard has cleaned up after it."""
    deadline = time.monotonic() + 15 * SLOWNESS
    while left(client) and time.monotonic() < deadline:
        pass
    assert left(client) == []
