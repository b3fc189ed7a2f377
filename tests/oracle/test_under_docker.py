"""Docker's daemon on our OCI runtime, alone and as a Swarm. The same stories pass on runc."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labs.kit.orchestrators.dockerd import Dockerd
from tests.leaks import children, end, end_groups, hierarchies, wait_for_children
from tests.oracle.conftest import Runtime
from tests.oracle.under import Checks, CommandLine, eventually, group_file

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def daemon(
    oci_runtime: Runtime, image_archives: list[Path], needs: Callable[[str], str], short_directory: Path
) -> Iterator[Dockerd]:
    """A running dockerd with the image busybox, on the runtime under test."""
    for program in ("dockerd", "docker"):
        needs(program)
    running = children()
    daemon = Dockerd(
        short_directory / oci_runtime.name,
        f"pyctr-{os.getpid()}-docker",
        runtime=(oci_runtime.name, oci_runtime.path),
    )
    try:
        try:
            daemon.wait()
        except RuntimeError as error:
            pytest.skip(str(error))
        daemon("load", "-i", image_archives[0])
        yield daemon
    finally:
        daemon.stop()
        end(wait_for_children(known=running, seconds=20))


@pytest.fixture
def docker(daemon: Dockerd, oci_runtime: Runtime) -> Iterator[CommandLine]:
    """Docker's command line. Its containers are removed before the test's check for leaks."""
    before = children()
    yield CommandLine(daemon.prefix, daemon.environment, (f"--runtime={oci_runtime.name}",))
    daemon.remove_everything()
    wait_for_children(known=before, seconds=20)
    end_groups(daemon.daemon.groups[0], only_empty=True)


def test_docker_runs_stops_and_looks_after_containers(docker: CommandLine, oci_runtime: Runtime) -> None:
    state = "inspect -f '{{.State.Status}} {{.State.ExitCode}}'"
    with Checks(37) as check:
        check.equal("the default runtime", docker.out("info -f '{{.DefaultRuntime}}'"), oci_runtime.name)
        for code in (0, 3, 255):
            check.equal(f"exit {code}", docker(f"run --rm busybox sh -c 'exit {code}'").code, code)
        missing = docker("run --rm busybox nothing")
        check.equal("no such program", missing.code, 127)
        check.match("its message", missing.err, 'exec: "nothing": executable file not found in \\$PATH')
        check.equal("no permission", docker("run --rm busybox /etc/passwd").code, 126)
        both = docker("run --rm busybox sh -c 'echo out; echo err >&2'")
        check.equal("the streams are apart", (both.out, both.err), ("out\n", "err\n"))
        check.equal("input", docker("run --rm -i busybox tr a-z A-Z", input="piped\n").out, "PIPED\n")
        check.equal("--rm leaves no container", docker.out("ps -aq"), "")
        docker.out("run -d --name back busybox sh -c 'echo one; exit 4'")
        check.equal("wait prints the code", docker.out("wait back"), "4")
        check.equal("logs", docker.out("logs back"), "one")
        check.equal("start again", docker("start -a back").code, 4)
        probe = "id -u; id -g; pwd; echo $A; hostname"
        options = "-u 7:8 -w /var -e A=b -h box"
        check.equal("options", docker.out(f"run --rm {options} busybox sh -c '{probe}'"), "7\n8\n/var\nb\nbox")
        check.match("--init", docker.out("run --rm --init busybox ps -o pid,args"), "^ +1 .*/sbin/docker-init")
        trap = 'trap "echo bye; exit 5" TERM; trap "echo usr" USR1; echo ready; while :; do sleep 0.1; done'
        docker.out(f"run -d --name polite busybox sh -c '{trap}'")
        check.true("ready", eventually(lambda: "ready" in docker.out("logs polite")))
        docker.out("kill -s USR1 polite")
        check.true("a signal arrives", eventually(lambda: "usr" in docker.out("logs polite")))
        began = time.monotonic()
        docker.out("stop -t 20 polite")
        check.true("SIGTERM ends it", time.monotonic() - began < 10)
        check.equal("with its own code", docker.out(f"{state} polite"), "exited 5")
        docker.out("run -d --name deaf busybox sleep 100")
        docker.out("pause deaf")
        check.equal("pause", docker.out(f"{state} deaf"), "paused 0")
        docker.out("unpause deaf")
        began = time.monotonic()
        docker.out("stop -t 1 deaf")
        check.true("killed in time", 0.9 < time.monotonic() - began < 10)
        check.equal("with 137", docker.out(f"{state} deaf"), "exited 137")
        docker.out("restart -t 0 deaf")
        check.equal("restart", docker.out(f"{state} deaf"), "running 0")
        os.kill(int(docker.out("inspect -f '{{.State.Pid}}' deaf")), signal.SIGKILL)
        check.equal("killed from outside", docker.out("wait deaf"), "137")
        docker.out("run -d --name again --restart on-failure:2 busybox sh -c 'echo try; exit 1'")
        check.true("restarts", eventually(lambda: docker.out("inspect -f '{{.RestartCount}}' again") == "2"))
        test = "run -d --name sick --health-cmd 'test -e /well' --health-interval 200ms --health-retries 1"
        docker.out(f"{test} busybox sleep 100")
        health = "inspect -f '{{.State.Health.Status}}' sick"
        check.true("unhealthy", eventually(lambda: docker.out(health) == "unhealthy"))
        docker.out("exec sick touch /well")
        check.true("healthy", eventually(lambda: docker.out(health) == "healthy"))
        docker.out("rename sick well")
        check.match("top", docker.out("top well"), "sleep 100")
        check.match("ps", docker.out("ps --format '{{.Names}} {{.Status}}'"), "^well Up ")
        check.match("stats", docker.out("stats --no-stream --format '{{.Name}} {{.PIDs}}' well"), r"^well [1-9]")
        events = docker.out(
            "events --since 5m --until 0s --filter container=polite --format '{{.Action}}'"
        ).split()
        for event in ("create", "start", "kill", "die", "stop"):
            check.true(f"event {event}", event in events, events)
        check.true("rm needs -f", docker("rm well").code)
        check.equal("rm -f", docker("rm -f well").code, 0)


def test_docker_executes_and_gives_a_terminal(docker: CommandLine, oci_runtime: Runtime) -> None:
    ours = oci_runtime.name == "pyctr"
    with Checks(18) as check:
        docker.out("run -d --name box busybox sleep 100")
        check.equal("exit code", docker("exec box sh -c 'exit 9'").code, 9)
        check.true("no such program", docker("exec box nothing").code in (126, 127))
        check.equal("no permission", docker("exec box /etc/passwd").code, 126)
        check.equal("signal", docker("exec box sh -c 'kill -9 $$'").code, 137)
        check.equal(
            "-u -w -e", docker.out("exec -u 5:6 -w /etc -e A=1 box sh -c 'id -u; pwd; echo $A'"), "5\n/etc\n1"
        )
        check.equal("-i", docker("exec -i box cat", input="given\n").out, "given\n")
        docker.out("exec -d box touch /made")
        check.true("-d", eventually(lambda: docker("exec box test -e /made").code == 0))
        if ours:
            check.match(
                "--privileged", docker.out("exec --privileged box grep CapEff /proc/self/status"), "[1-9a-f]{7}$"
            )
        terminal = docker.terminal("exec -it box sh", 30, 100)
        terminal.expect("# ")
        terminal.send("stty size; tty\n")
        check.equal("the terminal's size", terminal.expect(r"(\d+ \d+)\r"), "30 100")
        check.equal("the terminal's name", terminal.expect(r"(/dev/pts/\d+)\r"), "/dev/pts/0")
        terminal.resize(40, 120)
        terminal.send("sleep 0.3; stty size\n")
        check.equal("another size", terminal.expect(r"(\d+ \d+)\r"), "40 120")
        terminal.send("exit 8\n")
        check.equal("its exit code", terminal.end(), 8)
        terminal = docker.terminal("run -it --name tty busybox sh", 33, 99)
        terminal.expect("# ")
        terminal.send("stty size; test -c /dev/console && echo console\n")
        check.equal("run -it", terminal.expect(r"(\d+ \d+)\r"), "33 99")
        check.equal("/dev/console", terminal.expect("(console)\r"), "console")
        terminal.send("\x10\x11")
        check.equal("detach", terminal.end(), 0)
        check.equal("it still runs", docker.out("inspect -f '{{.State.Status}}' tty"), "running")
        terminal = docker.terminal("attach tty", 20, 60)
        terminal.send("\necho back $((6*7))\n")
        check.equal("attach", terminal.expect(r"back (\d+)\r"), "42")
        terminal.send("exit 11\n")
        check.equal("the program's code", terminal.end(), 11)
        docker.out("pause box")
        check.true("not in a paused container", docker("exec box true").code)
        docker.out("unpause box")
        docker.out("stop -t 0 box")
        check.true("not in a stopped container", docker("exec box true").code)


def test_docker_limits_mounts_and_confines(
    docker: CommandLine, tmp_path: Path, daemon: Dockerd, oci_runtime: Runtime
) -> None:
    ours = oci_runtime.name == "pyctr"
    host = tmp_path / "host"
    host.mkdir()
    (host / "file").write_text("from the host\n")
    profile = tmp_path / "seccomp.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    status = "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status"
    with Checks(37) as check:
        docker.out(
            "run -d --name box -m 64m --memory-swap 64m --cpus 0.5 --cpuset-cpus 0 --pids-limit 50 "
            "--oom-score-adj 500 --ulimit nofile=100:200 --sysctl kernel.shmmni=99 --shm-size 2m "
            f"--device /dev/kmsg:/dev/messages:w -v {host}:/x -v {host}:/y:ro --tmpfs /t:size=64k,mode=700 "
            "busybox sleep 100"
        )
        pid = docker.out("inspect -f '{{.State.Pid}}' box")
        check.equal("memory", group_file(pid, "memory", "memory.limit_in_bytes", "memory.max"), str(64 << 20))
        check.equal("cpus", group_file(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0], "50000")
        check.equal("cpuset", group_file(pid, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0")
        check.equal("pids", group_file(pid, "pids", "pids.max", "pids.max"), "50")
        check.equal("oom score", Path(f"/proc/{pid}/oom_score_adj").read_text().strip(), "500")
        check.match("ulimit", docker.out("exec box grep 'open files' /proc/1/limits"), r"100 +200 ")
        check.equal("sysctl", docker.out("exec box cat /proc/sys/kernel/shmmni"), "99")
        check.match("shm", docker.out("exec box df -k /dev/shm"), r" 2048 ")
        check.match("write only", docker("exec box head -c 1 /dev/messages").err, "not permitted")
        docker.out("update -m 96m --memory-swap 96m --cpus 0.25 --pids-limit 60 box")
        check.equal(
            "update memory", group_file(pid, "memory", "memory.limit_in_bytes", "memory.max"), str(96 << 20)
        )
        check.equal("update cpus", group_file(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0], "25000")
        check.equal("update pids", group_file(pid, "pids", "pids.max", "pids.max"), "60")
        check.equal(
            "out of memory", docker("run --name oom -m 16m --memory-swap 16m busybox tail /dev/zero").code, 137
        )
        check.equal("Docker knows why", docker.out("inspect -f '{{.State.OOMKilled}}' oom"), "true")
        check.equal("-v", docker.out("exec box cat /x/file"), "from the host")
        check.match("-v ro", docker("exec box touch /y/new").err, "Read-only file system")
        check.match(
            "--tmpfs",
            docker.out("exec box grep ' /t ' /proc/mounts"),
            "size=64k,mode=700|mode=700,size=64k|size=64k",
        )
        check.equal(
            "a volume is filled", docker.out("run --rm -v kept:/etc busybox grep -c ^root: /etc/passwd"), "1"
        )
        docker.out("run --rm -v data:/data busybox sh -c 'echo kept >/data/note'")
        check.equal("a volume keeps", docker.out("run --rm -v data:/data:ro busybox cat /data/note"), "kept")
        check.match("--read-only", docker("run --rm --read-only busybox touch /x").err, "Read-only file system")
        docker.out("exec box sh -c 'echo inside >/made; rm /bin/vi'")
        docker.out(f"cp box:/made {host}/copied")
        check.equal("cp out", (host / "copied").read_text(), "inside\n")
        docker.out(f"cp {host}/file box:/home/b")
        check.equal("cp in", docker.out("exec box cat /home/b"), "from the host")
        difference = docker.out("diff box").splitlines()
        check.true("diff", {"A /made", "D /bin/vi"} <= set(difference), difference)
        docker.out("commit box changed:1")
        check.equal("commit", docker.out("run --rm changed:1 cat /made"), "inside")
        docker.out("rmi changed:1")
        default = docker.out(f"run --rm busybox {status}").split()
        check.equal("seccomp filters", default[5], "2")
        check.true("few capabilities", 0 < int(default[1], 16).bit_count() < 16, default)
        added = docker.out(f"run --rm --cap-drop all --cap-add net_raw busybox {status}")
        check.match("--cap-add", added, "CapEff:\t0{12}2000$")
        if ours:  # runc 1.1 fails if this machine lacks a capability that Docker names
            privileged = docker.out(f"run --rm --privileged busybox {status}")
            check.true("--privileged", int(privileged.split()[1], 16).bit_count() > 20, privileged)
            check.match("without a filter", privileged, "Seccomp:\t0")
        denied = docker(f"run --rm --security-opt seccomp={profile} busybox mkdir /x")
        check.match("a profile", denied.err, "Operation not supported|Not supported")
        check.match(
            "no_new_privs", docker.out(f"run --rm --security-opt no-new-privileges busybox {status}"), "Privs:\t1"
        )
        check.match(
            "mount is denied", docker("run --rm busybox mount -t tmpfs t /tmp").err, "(?i)denied|not permitted"
        )
        check.equal(
            "/proc/kcore is masked", docker.out("run --rm busybox sh -c 'head -c 1 /proc/kcore | wc -c'"), "0"
        )
        check.equal("-u by name", docker.out("run --rm -u nobody busybox id -un"), "nobody")
        check.equal("--group-add", docker.out("run --rm --group-add 77 busybox id -G"), "0 77")
        for kind, option in {"pid": "--pid host", "ipc": "--ipc host", "uts": "--uts host"}.items():
            inside = docker.out(f"run --rm {option} busybox readlink /proc/self/ns/{kind}")
            check.equal(option, inside, os.readlink(f"/proc/self/ns/{kind}"))
        check.equal(
            "--network host",
            docker.out("run --rm --network host busybox readlink /proc/self/ns/net"),
            os.readlink("/proc/self/ns/net"),
        )
        other = docker.out("exec box readlink /proc/self/ns/net")
        check.equal(
            "--network container",
            docker.out("run --rm --network container:box busybox readlink /proc/self/ns/net"),
            other,
        )
        daemon.remove_everything()
        groups = [
            path for top in hierarchies() for path in (top / daemon.daemon.groups[0]).glob("*") if path.is_dir()
        ]
        check.equal("no cgroup is left", groups, [])
        left = sorted((daemon.directory / "exec").glob("runtime-*/moby/*"))
        check.equal("no state of the runtime is left", left, [])


def test_a_swarm_keeps_three_replicas_running(docker: CommandLine) -> None:
    def tasks(states: str = "Running") -> list[str]:
        line = "service ps -f desired-state=running --format '{{.ID}} {{.Image}} {{.CurrentState}}' web"
        return [task for task in docker.out(line).splitlines() if f" {states}" in task]

    with Checks(12) as check:
        joined = docker("swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:0")
        check.equal("swarm init", joined.code, 0)
        check.equal("one node", docker.out("node ls --format '{{.Status}}'"), "Ready")
        docker.out("tag busybox:latest web:1")
        docker.out("tag busybox:latest web:2")
        service = "service create -d --no-resolve-image --network host --name web --replicas 3"
        policy = "--restart-delay 100ms --stop-grace-period 1s --update-monitor 0s --update-order start-first"
        created = docker(f"{service} {policy} --limit-memory 64m web:1 sh -c 'trap exit TERM; sleep 100 & wait'")
        check.equal("service create", (created.code, created.err), (0, ""))
        check.true(
            "three replicas", eventually(lambda: len(tasks()) == 3, 30), docker("service ps --no-trunc web")
        )
        containers = docker.out("ps -q").split()
        check.equal("three containers", len(containers), 3)
        pid = docker.out("inspect -f '{{.State.Pid}}' " + containers[0])
        check.equal("their limit", group_file(pid, "memory", "memory.limit_in_bytes", "memory.max"), str(64 << 20))
        before = {task.split()[0] for task in tasks()}
        os.kill(int(pid), signal.SIGKILL)
        check.true(
            "another takes its place", eventually(lambda: len({t.split()[0] for t in tasks()} - before) == 1, 30)
        )
        check.true("three again", eventually(lambda: len(tasks()) == 3, 30))
        check.match(
            "Swarm knows why", docker.out("service ps --format '{{.Error}}' --no-trunc web"), r"exit \(137\)"
        )
        docker.out("service update -d --no-resolve-image --image web:2 web")
        updated = eventually(lambda: len([task for task in tasks() if "web:2" in task]) == 3, 60)
        check.true("a rolling update", updated, docker("service ps web"))
        # Swarm refuses a change while it notes the end of the update: "update out of sequence".
        check.true(
            "scale", eventually(lambda: docker("service scale -d web=1").code == 0, 30), docker("service ls")
        )
        check.true("scaled", eventually(lambda: len(docker.out("ps -q").split()) == 1, 30), docker("ps"))
        docker.out("service rm web")
        check.true("service rm", eventually(lambda: docker.out("ps -q") == "", 30), docker("ps"))
        docker.out("swarm leave --force")
        docker.out("rmi web:1 web:2")
