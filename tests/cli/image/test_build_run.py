"""RUN: mounts, secrets, heredocs, networks, and what is left of a build that is interrupted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.cli.image.conftest import Builder
from tests.conftest import SLOWNESS


def test_a_bind_shows_the_context_and_leaves_nothing(builder: Builder) -> None:
    builder.files(a="a", b="ignored", dir__x="x", **{".dockerignore": "b\n"})
    builder(
        "FROM busybox\nRUN --mount=type=bind,target=/ctx/in --mount=source=dir/x,target=/one "
        "ls /ctx/in > /l; cat /one >> /l\n"
    )
    assert builder.sh("cat /l; ls -d /ctx /one 2>&1 || true") == (
        "a\ndir\nxls: /ctx: No such file or directory\nls: /one: No such file or directory\n"
    )


def test_a_bind_is_read_only_and_a_writable_one_is_a_copy(builder: Builder) -> None:
    builder.files(a="a")
    builder(
        "FROM busybox\nRUN --mount=target=/c ! echo x 2>/dev/null > /c/a\n"
        "RUN --mount=target=/c,rw echo changed > /c/a && cp /c/a /kept\n"
    )
    assert (builder.context / "a").read_text() == "a"
    assert builder.sh("cat /kept") == "changed\n"


def test_a_bind_of_a_stage_or_an_image(builder: Builder) -> None:
    builder(
        "FROM busybox AS one\nRUN mkdir /d && echo made > /d/f && ln -s /d /l\nFROM busybox\n"
        "RUN --mount=from=one,source=/l,target=/m cat /m/f > /out\n"
        "RUN --mount=type=bind,from=busybox,target=/m ls /m/bin/busybox >> /out\n"
    )
    assert builder.sh("cat /out; ls -d /m 2>&1 || true") == (
        "made\n/m/bin/busybox\nls: /m: No such file or directory\n"
    )


def test_the_source_of_a_bind_counts_for_the_cache(builder: Builder) -> None:
    text = "FROM busybox\nRUN --mount=source=a,target=/a cat /a > /b\n"
    builder.files(a="1", other="1")
    builder(text)
    builder.files(other="2")
    assert "CACHED" in builder(text).stderr
    builder.files(a="2")
    builder(text)
    assert builder.sh("cat /b") == "2"


def test_a_link_in_the_context_does_not_lead_a_bind_outside(builder: Builder) -> None:
    (builder.context / "out").symlink_to("/etc")
    assert '"/out": ' in builder.error("FROM busybox\nRUN --mount=source=out,target=/o ls /o\n")
    (builder.context / "etc").mkdir()
    builder.files(etc__mine="mine")
    builder("FROM busybox\nRUN --mount=source=out,target=/o ls /o > /l\n")
    assert builder.sh("cat /l") == "mine\n"


def test_a_cache_is_kept_between_builds(builder: Builder) -> None:
    text = (
        "FROM busybox\nRUN --mount=type=cache,target=/c,id=i,mode=0700,uid=5 "
        "echo >> /c/n; stat -c %a:%u /c > /s; wc -l < /c/n > /n\n"
    )
    builder(text)
    builder(text, "--no-cache")
    assert builder.sh("cat /n /s; ls -d /c 2>&1 || true") == "2\n700:5\nls: /c: No such file or directory\n"


def test_a_cache_can_begin_with_the_files_of_a_stage(builder: Builder) -> None:
    builder(
        "FROM busybox AS seed\nRUN mkdir /s && echo seed > /s/f\nFROM busybox\n"
        "RUN --mount=type=cache,target=/c,from=seed,source=/s cat /c/f > /out && echo more > /c/f\n"
    )
    assert builder.sh("cat /out") == "seed\n"


def test_a_private_cache_is_used_by_one_run_at_a_time(builder: Builder) -> None:
    builder.files(x="")
    text = "FROM busybox\nRUN --mount=type=cache,target=/c,sharing=private ls /c > /l; touch /c/mark; {}\n"
    (builder.context / "Dockerfile").write_text(
        text.format("echo holding; read x < /c/fifo || true; mkfifo /c/fifo; cat /c/fifo")
    )
    holder = subprocess.Popen(
        builder.pyctr.command("build", "--progress", "plain", builder.context), stderr=subprocess.PIPE, text=True
    )
    assert holder.stderr is not None
    assert any("holding" in line for line in holder.stderr if " 0." in line)
    builder(text.format("true"))
    assert builder.sh("cat /l") == ""
    fifo = next(_wait_for(builder.pyctr.root, "build/mounts/*/data/fifo"))
    fifo.write_text("go")
    holder.communicate(timeout=20 * SLOWNESS)
    assert holder.returncode == 0


def _wait_for(root: Path, pattern: str):  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 10 * SLOWNESS
    while time.monotonic() < deadline:
        yield from root.glob(pattern)
    raise AssertionError(f"no {pattern}")


def test_a_tmpfs_has_its_size_and_vanishes(builder: Builder) -> None:
    builder("FROM busybox\nRUN --mount=type=tmpfs,target=/t,size=64k df -k /t | tail -1 > /df; echo x > /t/x\n")
    assert builder.sh("awk '{print $2}' /df; ls -d /t 2>&1 || true") == "64\nls: /t: No such file or directory\n"


def test_programs_in_a_tmpfs_are_executed_and_everybody_may_write_to_it(builder: Builder) -> None:
    builder(
        "FROM busybox\nRUN mkdir -m 750 /old\nUSER 5\n"
        "RUN --mount=type=tmpfs,target=/t/u echo 'stat -c %a /t/u' > /t/u/x && chmod +x /t/u/x && "
        "/t/u/x > /tmp/modes\n"
        "RUN --mount=type=tmpfs,target=/old stat -c %a /old >> /tmp/modes\n"
        "RUN --mount=type=tmpfs,target=/t --mount=source=.,target=/t/below ls /t >> /tmp/modes\n"
    )
    assert builder.sh("cat /tmp/modes; echo /t*") == "1777\n750\nbelow\n/tmp\n"


def test_a_secret_is_only_seen_while_the_command_runs(builder: Builder, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("tops3cret")
    text = (
        "FROM busybox\nRUN --mount=type=secret,id=one "
        "stat -c '%a %u' /run/secrets/one > /s; wc -c < /run/secrets/one >> /s\n"
        "RUN --mount=type=secret,id=two,target=/etc/two,mode=0444,uid=3 stat -c '%a %u' /etc/two >> /s\n"
        "RUN --mount=type=secret,id=three,env=THREE [ ${#THREE} = 9 ] && echo same >> /s\n"
    )
    done = builder(
        text,
        *(
            "--secret",
            f"id=one,src={secret}",
            "--secret",
            f"id=two,source={secret}",
            "--secret",
            "id=three,env=VARIABLE",
        ),
        env={"VARIABLE": "tops3cret"},
    )
    assert builder.sh("cat /s; ls -A /run /etc/two 2>&1 | grep -c two") == "400 0\n9\n444 3\nsame\n1\n"
    assert "tops3cret" not in done.stderr
    found = subprocess.run(["grep", "-rl", "tops3cret", builder.pyctr.root], capture_output=True, text=True)
    assert found.stdout == ""
    assert builder(text).stderr.count("CACHED") == 3  # neither the content nor the presence is in the key


def test_a_missing_secret_is_left_out_unless_it_is_required(builder: Builder) -> None:
    builder("FROM busybox\nRUN --mount=type=secret,id=x ls /run/secrets 2>/dev/null || echo none > /n\n")
    assert builder.sh("cat /n") == "none\n"
    error = builder.error("FROM busybox\nRUN --mount=type=secret,id=x,required true\n")
    assert "secret x: not found" in error


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--secret", "id=x,src=/no/file", "secret x: /no/file: No such file or directory"),
        ("--secret", "id=x,src=/etc", "secret x: /etc is a directory"),
        ("--ssh", "x=/no/socket", "ssh agent x: /no/socket does not exist"),
        ("--platform", "foo", "cannot build for foo: this machine is linux/"),
        ("--platform", "linux/s390x", "cannot build for linux/s390x: this machine is linux/"),
        ("--platform", "a/b/c/d", "invalid platform: 'a/b/c/d'"),
    ],
)
def test_a_wrong_option_is_refused_even_if_nothing_uses_it(
    builder: Builder, flag: str, value: str, message: str
) -> None:
    error = builder.error("FROM busybox\n", flag, value)
    assert error.splitlines()[0] == f"pyctr_lite: {error.splitlines()[0].partition(': ')[2]}"
    assert message in error.splitlines()[0]
    assert len(error.splitlines()) <= 2


def test_a_secret_variable_is_in_no_file_while_its_command_runs(builder: Builder) -> None:
    """Not in the container's record and bundle, either: a disk outlives the build."""
    os.mkfifo(builder.context / "gate")
    (builder.context / "Dockerfile").write_text(
        "FROM busybox\nENV S=known\nRUN --mount=target=/c --mount=type=secret,id=s,env=S "
        "echo ${#S} | tee /n; echo ready; cat /c/gate\nRUN echo $S >> /n\n"
    )
    process = subprocess.Popen(
        builder.pyctr.command(
            "build", "-t", "it", "--progress", "plain", "--secret", "id=s,env=VARIABLE", builder.context
        ),
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "VARIABLE": "tops3cret"},
    )
    assert process.stderr is not None
    assert any(line.endswith(" ready\n") for line in process.stderr)
    root = builder.pyctr.root
    assert list(root.glob("containers/*/config.json"))
    found = subprocess.run(["grep", "-rlD", "skip", "tops3cret", root], capture_output=True, text=True)
    (builder.context / "gate").write_text("go")
    process.communicate(timeout=20 * SLOWNESS)
    assert process.returncode == 0
    assert found.stdout == ""
    assert builder.sh("cat /n") == "9\nknown\n"


def test_an_ssh_agent_is_a_socket(builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as agent:
        monkeypatch.chdir(tmp_path)  # a path of a socket is short
        agent.bind("agent")
        text = 'FROM busybox\nRUN --mount=type=ssh [ -S "$SSH_AUTH_SOCK" ] && echo $SSH_AUTH_SOCK > /s\n'
        builder(text, "--ssh", f"default={tmp_path}/agent")
    assert builder.sh("cat /s; ls -A /run") == "/run/buildkit/ssh_agent.0\n"
    assert "ssh agent default: not found" in builder.error("FROM busybox\nRUN --mount=type=ssh,required true\n")


def test_the_socket_of_an_agent_has_the_owner_and_the_mode_of_the_mount(builder: Builder) -> None:
    with socket.socket(socket.AF_UNIX) as agent, tempfile.TemporaryDirectory() as short:
        agent.bind(f"{short}/agent")
        builder(
            "FROM busybox\nRUN --mount=type=ssh --mount=type=ssh,id=other,uid=5,gid=6,mode=0660 "
            "stat -c '%a %u:%g %n' /run/buildkit/* > /s && echo $SSH_AUTH_SOCK >> /s\n",
            *("--ssh", f"default={short}/agent", "--ssh", f"other={short}/agent"),
        )
    assert builder.sh("cat /s").splitlines() == [
        "600 0:0 /run/buildkit/ssh_agent.0",
        "660 5:6 /run/buildkit/ssh_agent.1",
        "/run/buildkit/ssh_agent.0",
    ]


def test_heredocs_are_scripts(builder: Builder) -> None:
    builder(
        "FROM busybox\nRUN <<EOF\nX=1\necho one $X > /o\nEOF\n"
        'RUN <<EOF\n#!/usr/bin/awk -f\nBEGIN { print "awk" > "/a" }\nEOF\n'
        "RUN cat <<A > /c; cat <<'B' >> /c\n$HOME a\nA\n$HOME b\nB\n"
    )
    assert builder.sh("cat /o /a /c") == "one 1\nawk\n/root a\n$HOME b\n"


def test_a_shell_of_the_image_runs_the_shell_form(builder: Builder) -> None:
    builder('FROM busybox\nSHELL ["/bin/sh","-ec"]\nRUN false; true > /x || true\n', check=False)
    assert 'process "/bin/sh -ec false; true' in builder.error(
        'FROM busybox\nSHELL ["/bin/sh","-ec"]\nRUN false; true\n'
    )


@pytest.mark.parametrize(("given", "flag"), [("none", ()), ("default", ("--network", "none"))])
def test_a_run_can_have_no_network(builder: Builder, given: str, flag: tuple[str, ...]) -> None:
    builder(f"FROM busybox\nRUN --network={given if not flag else 'none'} ls /sys/class/net > /n\n", *flag)
    assert builder.sh("cat /n") == "lo\n"


def test_what_is_allowed_is_allowed(builder: Builder) -> None:
    text = (
        "FROM busybox\nRUN --network=host readlink /proc/self/ns/net > /n\n"
        "RUN --security=insecure grep CapEff /proc/self/status > /c\n"
    )
    builder(text, "--allow", "network.host", "--allow", "security.insecure")
    assert builder.sh("cat /n").strip() == os.readlink("/proc/self/ns/net")
    capabilities = int(builder.sh("cat /c").split()[1], 16)
    assert capabilities >> 21 & 1  # CAP_SYS_ADMIN


def test_the_names_of_added_hosts_count_for_the_cache(builder: Builder) -> None:
    text = "FROM busybox\nRUN cat /etc/hosts > /hosts\n"
    builder(text)
    assert "#3 CACHED" not in builder(text, "--add-host", "x:192.0.2.1").stderr
    assert "#3 CACHED" in builder(text, "--add-host", "x:192.0.2.2").stderr


def test_limits_concern_the_containers_of_run(builder: Builder) -> None:
    text = (
        "FROM busybox\nRUN ulimit -n > /u; df -k /dev/shm | tail -1 > /s; grep given /etc/hosts > /h; "
        "cd /sys/fs/cgroup; cat memory*/memory.limit_in_bytes memory.max > /m 2>/dev/null || true\n"
    )
    builder(text, *("--ulimit", "nofile=77", "--shm-size", "1m", "--add-host", "given:10.1.2.3", "-m", "64m"))
    assert builder.sh("cat /u; awk '{print $2}' /s; cat /h; cat /m").split() == [
        *("77", "1024", "10.1.2.3", "given", str(64 << 20))
    ]


def test_what_a_run_writes_below_a_volume_is_kept(builder: Builder) -> None:
    builder("FROM busybox\nVOLUME /data\nRUN mkdir /data && echo kept > /data/f\n")
    assert builder.sh("cat /data/f") == "kept\n"
    assert builder.pyctr("volume", "ls", "-q").stdout == ""


def _start(builder: Builder, text: str) -> subprocess.Popen[str]:
    """Start a build, and return when its program has printed "ready"."""
    (builder.context / "Dockerfile").write_text(text)
    process = subprocess.Popen(
        builder.pyctr.command(
            "build", "--progress", "plain", "--secret", "id=s,src=/etc/hostname", builder.context
        ),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.endswith(" ready\n"):
            break
    return process


LONG = (
    "FROM busybox\nRUN --mount=type=secret,id=s --mount=target=/c --mount=from=busybox,target=/b "
    "echo ready; sleep 1000\n"
)


def _left(root: Path) -> list[str]:
    """Return what is left of a build."""
    found = [
        line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(root) in line
    ]
    for name in ("build/running", "containers", "run/containers"):
        found += [str(path) for path in (root / name).glob("*")]
    return found


def test_a_build_that_is_killed_at_any_moment_leaves_nothing(builder: Builder) -> None:
    builder.files(**{f"f{number}": "x" * 10000 for number in range(300)})
    text = "FROM busybox\nCOPY . /a\nWORKDIR /w\nRUN cat /a/* > /all\nCOPY --from=busybox / /b\nRUN rm -r /b\n"
    (builder.context / "Dockerfile").write_text(text)
    root = builder.pyctr.root
    before = {*root.glob("layers/*"), *root.glob("images/blobs/sha256/*")}
    for tenths in range(10):
        process = subprocess.Popen(
            builder.pyctr.command("build", "--no-cache", builder.context), stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        for _ in range(2 * tenths + 3):  # lines of the report
            process.stderr.readline()
        process.kill()
        process.communicate()
    deadline = time.monotonic() + 15 * SLOWNESS
    while (
        left := [*_left(root), *root.glob("staging/*"), *root.glob("run/view-*")]
    ) and time.monotonic() < deadline:
        pass
    assert left == []
    assert builder.pyctr("image", "verify").returncode == 0
    builder(text)
    builder.pyctr("rmi", "it", check=True)
    builder.pyctr("builder", "prune", "-af", check=True)
    for blob in root.glob("images/blobs/sha256/*"):
        os.utime(blob, (1, 1))  # prune removes unreferenced blobs after an hour
    builder.pyctr("image", "prune", "-f", check=True)
    assert {*root.glob("layers/*"), *root.glob("images/blobs/sha256/*"), *root.glob("build/*/*")} == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_build_leaves_nothing(builder: Builder, number: signal.Signals) -> None:
    process = _start(builder, LONG)
    assert len(_left(builder.pyctr.root)) >= 4
    os.kill(process.pid, number)
    process.communicate(timeout=20 * SLOWNESS)
    deadline = time.monotonic() + 15 * SLOWNESS
    while _left(builder.pyctr.root) and time.monotonic() < deadline:
        pass
    assert _left(builder.pyctr.root) == []
    assert builder.pyctr("ps", "-aq", check=True).stdout == ""


def test_a_killed_build_and_its_guard_are_cleaned_up_after_by_the_next(builder: Builder) -> None:
    process = _start(builder, LONG)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in (*children, process.pid):
        if Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(int(pid), signal.SIGKILL)
    process.communicate(timeout=20 * SLOWNESS)
    assert "build" in builder.pyctr("doctor").stdout
    builder("FROM busybox\n")
    assert _left(builder.pyctr.root) == []


def test_the_hostname_is_the_same_in_each_build_unless_an_argument_gives_another(builder: Builder) -> None:
    text = "FROM busybox\nRUN echo $(hostname) $(env | grep HOSTNAME) > /name\nENV HOSTNAME=mine\nRUN env > /env\n"
    builder(text)
    assert builder.sh("cat /name; grep HOSTNAME /env") == "buildkitsandbox\nHOSTNAME=mine\n"
    builder(text, "--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=other")
    assert builder.sh("cat /name") == "other\n"
