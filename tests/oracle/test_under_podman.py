"""Podman on our OCI runtime: each test is a story of many checks. The same stories pass on runc and crun."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labs.kit.orchestrators.podman import Podman
from tests.leaks import children, end_groups, hierarchies, wait_for_children
from tests.oracle.conftest import Runtime
from tests.oracle.under import Checks, CommandLine, eventually, group_file

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def engine(
    oci_runtime: Runtime, image_archives: list[Path], needs: Callable[[str], str], short_directory: Path
) -> Iterator[Podman]:
    """Podman with its own storage and both images, on the runtime under test."""
    for program in ("podman", "conmon"):
        needs(program)
    podman = Podman(
        short_directory / oci_runtime.name, oci_runtime.name, oci_runtime.path, f"pyctr-{os.getpid()}-podman"
    )
    try:
        for archive in image_archives:
            podman("load", "-q", "-i", archive)
        yield podman
    finally:
        podman.stop()


@pytest.fixture
def podman(engine: Podman) -> Iterator[CommandLine]:
    """Podman's command line. Its containers are removed before the test's check for leaks."""
    before = children()
    yield CommandLine(engine.prefix, engine.environment, engine.options)
    engine.remove_everything()
    wait_for_children(known=before, seconds=20)
    end_groups(engine.group, only_empty=False)
    remove_empty_groups("libpod_parent")


def remove_empty_groups(name: str) -> None:
    """Remove the empty groups below one, and itself: `play kube` makes pods in podman's default parent."""
    for hierarchy in hierarchies():
        for path, _, _ in os.walk(hierarchy / name, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)


def test_podman_runs_containers(podman: CommandLine) -> None:
    with Checks(30) as check:
        for code in (0, 3, 255):
            check.equal(f"exit {code}", podman(f"run --rm busybox sh -c 'exit {code}'").code, code)
        check.equal("no such program", podman("run --rm busybox nothing").code, 127)
        check.equal("no permission", podman("run --rm busybox /etc/passwd").code, 126)
        check.match("its message", podman("run --rm busybox /etc/passwd").err, "(?i)permission denied")
        check.equal("no such image", podman("run --rm --pull never missing true").code, 125)
        both = podman("run --rm busybox sh -c 'echo out; echo err >&2'")
        check.equal("the streams are apart", (both.out, both.err), ("out\n", "err\n"))
        check.equal("input", podman("run --rm -i busybox tr a-z A-Z", input="piped\n").out, "PIPED\n")
        many = podman("run --rm busybox sh -c 'seq 1 20000'").out
        check.equal("all of a long output", many, "".join(f"{number}\n" for number in range(1, 20001)))
        check.equal("--rm leaves no container", podman.out("ps -aq"), "")
        id = podman.out("run -d --name back busybox sh -c 'echo one; echo two; exit 4'")
        check.match("-d prints the id", id, "^[0-9a-f]{64}$")
        check.equal("wait prints the code", podman.out("wait back"), "4")
        check.equal("logs", podman.out("logs back"), "one\ntwo")
        check.equal("logs --tail", podman.out("logs --tail 1 back"), "two")
        check.equal("inspect", podman.out("inspect -f '{{.State.Status}} {{.State.ExitCode}}' back"), "exited 4")
        check.equal("start again", podman("start -a back").code, 4)
        check.equal("logs of both", podman.out("logs back").count("one"), 2)
        probe = "id -u; pwd; echo $A; hostname; umask"
        options = "-u 7:8 -w /var -e A=b -h box --umask 0077"
        check.equal("options", podman.out(f"run --rm {options} busybox sh -c '{probe}'"), "7\n/var\nb\nbox\n0077")
        check.match("PID 1", podman.out("run --rm busybox ps -o pid,args"), "^ +1 ps -o pid,args")
        check.match(
            "--init", podman.out("run --rm --init busybox ps -o pid,args"), "^ +1 .*(/run/podman-init|/dev/init)"
        )
        check.equal("its exit code", podman("run --rm --init busybox sh -c 'kill -9 $$'").code, 137)
        for kind, option in {
            "pid": "--pid host",
            "ipc": "--ipc host",
            "uts": "--uts host",
            "net": "--network host",
        }.items():
            inside = podman.out(f"run --rm {option} busybox readlink /proc/self/ns/{kind}")
            outside = os.readlink(f"/proc/self/ns/{kind}")
            check.equal(option, inside, outside)
        podman.out("run -d --name other busybox sleep 100")
        own = podman.out("exec other readlink /proc/self/ns/net")
        check.true("--network none", own != os.readlink("/proc/self/ns/net"))
        check.equal(
            "--network container",
            podman.out("run --rm --network container:other busybox readlink /proc/self/ns/net"),
            own,
        )
        check.equal("lo is up", podman.out("exec other ip -o -4 addr").split()[3], "127.0.0.1/8")
        check.match(
            "a mount's error", podman("run --rm -v /nowhere/at/all:/x busybox true").err, "/nowhere/at/all"
        )


def test_podman_stops_and_kills(podman: CommandLine) -> None:
    with Checks(17) as check:
        state = "inspect -f '{{.State.Status}} {{.State.ExitCode}}'"
        trap = 'trap "echo bye; exit 5" TERM; trap "echo usr" USR1; echo ready; while :; do sleep 0.1; done'
        podman.out(f"run -d --name polite busybox sh -c '{trap}'")
        podman.out("run -d --name deaf busybox sleep 100")
        check.true("ready", eventually(lambda: "ready" in podman.out("logs polite")))
        podman.out("kill -s USR1 polite")
        check.true("a signal by name arrives", eventually(lambda: "usr" in podman.out("logs polite")))
        podman.out("kill -s 10 polite")
        check.true("a signal by number", eventually(lambda: podman.out("logs polite").count("usr") == 2))
        began = time.monotonic()
        podman.out("stop -t 20 polite")
        check.true("a program that handles SIGTERM ends at once", time.monotonic() - began < 10)
        check.equal("with its own code", podman.out(f"{state} polite"), "exited 5")
        began = time.monotonic()
        podman.out("stop -t 1 deaf")
        check.true("one that does not is killed in time", 0.9 < time.monotonic() - began < 10)
        check.equal("with 137", podman.out(f"{state} deaf"), "exited 137")
        check.true("killing it again fails", podman("kill deaf").code)
        podman.out("restart deaf")
        check.equal("restart", podman.out(f"{state} deaf"), "running 0")
        podman.out("pause deaf")
        check.equal("pause", podman.out(f"{state} deaf"), "paused 0")
        check.true("no exec in a paused container", podman("exec deaf true").code)
        podman.out("unpause deaf")
        check.equal("unpause", podman("exec deaf true").code, 0)
        os.kill(int(podman.out("inspect -f '{{.State.Pid}}' deaf")), signal.SIGKILL)
        check.equal("killed from outside", podman.out("wait deaf"), "137")
        check.equal("podman knows", podman.out(f"{state} deaf"), "exited 137")
        podman.out(
            "run -d --name int --stop-signal INT busybox sh -c 'trap \"exit 6\" INT; while :; do sleep 0.1; done'"
        )
        eventually(lambda: "sleep" in podman.out("top int args"))
        podman.out("stop -t 5 int")
        check.equal("--stop-signal", podman.out(f"{state} int"), "exited 6")
        podman.out("start deaf")
        check.true("rm needs -f", podman("rm deaf").code)
        check.equal("rm -f", podman("rm -f -t 0 deaf").code, 0)


def test_podman_executes_in_containers(podman: CommandLine) -> None:
    with Checks(22) as check:
        podman.out("run -d --name box --cap-drop all busybox sleep 100")
        check.equal("output", podman.out("exec box echo hello"), "hello")
        check.equal("exit code", podman("exec box sh -c 'exit 9'").code, 9)
        check.equal("no such program", podman("exec box nothing").code, 127)
        check.equal("no permission", podman("exec box /etc/passwd").code, 126)
        check.equal("signal", podman("exec box sh -c 'kill -9 $$'").code, 137)
        check.equal("-u", podman.out("exec -u 5:6 box id -u"), "5")
        check.equal("-u by name", podman.out("exec -u nobody box id -un"), "nobody")
        check.equal("-w", podman.out("exec -w /etc box pwd"), "/etc")
        check.true("a missing directory", podman("exec -w /nowhere box pwd").code)
        check.equal("-e", podman.out("exec -e A=1 -e B=2 box sh -c 'echo $A$B'"), "12")
        check.equal("-i", podman("exec -i box cat", input="given\n").out, "given\n")
        check.match("no capabilities", podman.out("exec box grep CapEff /proc/self/status"), "0{16}$")
        check.match("--privileged", podman.out("exec --privileged box grep CapEff /proc/self/status"), "[1-9a-f]")
        check.equal("the container's namespaces", podman.out("exec box cat /proc/1/comm"), "sleep")
        podman.out("exec -d box touch /tmp/made")
        check.true("-d", eventually(lambda: podman("exec box test -e /tmp/made").code == 0))
        inside = podman.out("exec box cat /proc/self/cgroup")
        pid = podman.out("inspect -f '{{.State.Pid}}' box")
        check.equal("its cgroups", inside, podman.out("exec box cat /proc/1/cgroup"))
        check.true("the pid is the host's", Path(f"/proc/{pid}").exists())
        terminal = podman.terminal("exec -it box sh", 30, 100)
        terminal.expect("# ")
        terminal.send("stty size; tty\n")
        check.equal("the terminal's size", terminal.expect(r"(\d+ \d+)\r\n"), "30 100")
        check.match("the terminal's name", terminal.expect(r"(/dev/pts/\d+)\r"), "/dev/pts/0")
        terminal.resize(40, 120)
        terminal.send("sleep 0.3; stty size\n")
        check.equal("another size", terminal.expect(r"(\d+ \d+)\r\n"), "40 120")
        terminal.send("exit 8\n")
        check.equal("its exit code", terminal.end(), 8)
        podman.out("stop -t 0 box")
        check.true("not in a stopped container", podman("exec box true").code)


def test_podman_gives_a_terminal_and_detaches(podman: CommandLine) -> None:
    with Checks(8) as check:
        terminal = podman.terminal("run -it --name tty busybox sh", 33, 99)
        terminal.expect("# ")
        terminal.send("stty size; tty; test -c /dev/console && echo console\n")
        check.equal("size", terminal.expect(r"(\d+ \d+)\r\n"), "33 99")
        check.match("tty", terminal.expect(r"(/dev/\S+)\r"), "/dev/(pts/0|console)")
        check.match("/dev/console", terminal.expect("(console)\r"), "console")
        terminal.resize(50, 150)
        terminal.send("sleep 0.3; stty size\n")
        check.equal("resize", terminal.expect(r"(\d+ \d+)\r\n"), "50 150")
        terminal.send("\x10")  # podman sees its keys only if each comes alone
        time.sleep(0.1)
        terminal.send("\x11")
        check.equal("detach", terminal.end(), 0)
        check.equal("it still runs", podman.out("inspect -f '{{.State.Status}}' tty"), "running")
        terminal = podman.terminal("attach tty", 20, 60)
        terminal.send("\necho back $((6*7))\n")
        check.equal("attach", terminal.expect(r"back (\d+)\r"), "42")
        terminal.send("exit 11\n")
        terminal.end()
        check.equal("the program's code", podman.out("wait tty"), "11")


def test_podman_limits_resources(podman: CommandLine) -> None:
    with Checks(19) as check:
        podman.out(
            "run -d --name box -m 64m --memory-swap 64m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 "
            "--pids-limit 50 --oom-score-adj 500 --ulimit nofile=100:200 --ulimit nproc=1024:1024 "
            "--sysctl kernel.shmmni=99 --shm-size 2m "
            "--device /dev/zero:/dev/nought:r --device /dev/kmsg:/dev/messages:w busybox sleep 100"
        )
        pid = podman.out("inspect -f '{{.State.Pid}}' box")
        check.equal("memory", group_file(pid, "memory", "memory.limit_in_bytes", "memory.max"), str(64 << 20))
        quota = group_file(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0]
        check.equal("cpus", quota, "50000")
        check.equal("cpuset", group_file(pid, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0")
        check.equal("pids", group_file(pid, "pids", "pids.max", "pids.max"), "50")
        shares = group_file(pid, "cpu", "cpu.shares", "cpu.weight")
        check.true("shares", shares in ("512", "20", "59"), shares)
        check.equal("oom score", Path(f"/proc/{pid}/oom_score_adj").read_text().strip(), "500")
        check.match("ulimit", podman.out("exec box grep 'open files' /proc/1/limits"), r"100 +200 ")
        check.equal("sysctl", podman.out("exec box cat /proc/sys/kernel/shmmni"), "99")
        check.match("shm", podman.out("exec box df -k /dev/shm"), r" 2048 ")
        check.equal("a device", podman.out("exec box sh -c 'head -c 3 /dev/nought | wc -c'"), "3")
        check.match("write only", podman("exec box head -c 1 /dev/messages").err, "not permitted")
        check.equal("it may be written", podman("exec box sh -c ': >>/dev/messages'").code, 0)
        podman.out("update -m 96m --memory-swap 96m --cpus 0.25 box")
        check.equal(
            "update memory", group_file(pid, "memory", "memory.limit_in_bytes", "memory.max"), str(96 << 20)
        )
        quota = group_file(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0]
        check.equal("update cpus", quota, "25000")
        stats = json.loads(podman.out("stats --no-stream --format json box"))
        check.equal("stats", stats[0]["name"], "box")
        check.match("stats has pids", json.dumps(stats), '"pids": "1"')
        check.match("top", podman.out("top box pid args"), "^1 +sleep 100")
        check.match("ps", podman.out("ps --format '{{.Names}} {{.Status}}'"), "^box Up ")
        oom = podman("run --name oom -m 16m --memory-swap 16m busybox tail /dev/zero")
        check.equal("out of memory", oom.code, 137)


def test_podman_mounts_and_copies(podman: CommandLine, tmp_path: Path) -> None:
    host = tmp_path / "host"
    (host / "sub").mkdir(parents=True)
    (host / "file").write_text("from the host\n")
    subprocess.run(["mount", "--bind", "--make-shared", host, host], check=True)
    with Checks(27) as check:
        check.equal("-v", podman.out(f"run --rm -v {host}:/x busybox cat /x/file"), "from the host")
        check.match("-v ro", podman(f"run --rm -v {host}:/x:ro busybox touch /x/new").err, "Read-only file system")
        check.equal(
            "a file", podman.out(f"run --rm -v {host}/file:/etc/motd busybox cat /etc/motd"), "from the host"
        )
        check.equal("not noexec", podman(f"run --rm -v {host}:/x busybox true").code, 0)
        flags = podman.out(f"run --rm -v {host}:/x:ro,nosuid,nodev,noexec busybox grep ' /x ' /proc/mounts")
        for flag in ("ro", "nosuid", "nodev", "noexec"):
            check.match(f"the flag {flag}", flags, rf"[ ,]{flag}[ ,]")
        check.match(
            "--tmpfs",
            podman.out("run --rm --tmpfs /t:size=64k,mode=700 busybox grep ' /t ' /proc/mounts"),
            "size=64k",
        )
        check.equal(
            "--tmpfs copies up", podman.out("run --rm --tmpfs /etc busybox grep -c ^root: /etc/passwd"), "1"
        )
        none = "run --rm --mount type=tmpfs,dst=/etc,notmpcopyup busybox"
        check.equal("notmpcopyup", podman(f"{none} test -e /etc/shadow").code, 1)
        check.equal(
            "a volume is filled", podman.out("run --rm -v kept:/etc busybox grep -c ^root: /etc/passwd"), "1"
        )
        podman.out("run --rm -v data:/data busybox sh -c 'echo kept >/data/note'")
        check.equal("a volume keeps", podman.out("run --rm -v data:/data busybox cat /data/note"), "kept")
        check.match("--read-only", podman("run --rm --read-only busybox touch /x").err, "Read-only file system")
        check.equal("but /tmp", podman("run --rm --read-only busybox touch /tmp/x").code, 0)
        check.true(
            "--read-only-tmpfs=false",
            podman("run --rm --read-only --read-only-tmpfs=false busybox touch /tmp/x").code,
        )
        podman.out(f"run -d --name box -v {host}:/x:rslave -v {host}:/y:rprivate busybox sleep 100")
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", host / "sub"], check=True)
        (host / "sub/later").touch()
        check.equal("rslave sees a later mount", podman("exec box test -e /x/sub/later").code, 0)
        check.equal("rprivate does not", podman("exec box test -e /y/sub/later").code, 1)
        subprocess.run(["umount", host / "sub"], check=True)
        check.equal("nor its unmounting", podman("exec box test -e /x/sub/later").code, 1)
        podman.out("exec box sh -c 'echo inside >/made; rm /bin/vi; mkdir /dir; echo a >/dir/a'")
        podman.out(f"cp box:/made {host}/copied")
        check.equal("cp out", (host / "copied").read_text(), "inside\n")
        podman.out(f"cp {host}/file box:/dir/b")
        check.equal("cp in", podman.out("exec box cat /dir/b"), "from the host")
        check.equal("cp to a missing directory", podman(f"cp {host}/file box:/no/where").code != 0, True)
        difference = podman.out("diff box").splitlines()
        check.true("diff", {"A /made", "D /bin/vi", "A /dir/a"} <= set(difference), difference)
        podman.out("commit -q box changed:1")
        check.equal("commit", podman.out("run --rm changed:1 cat /made"), "inside")
        check.equal("a deleted file", podman("run --rm changed:1 test -e /bin/vi").code, 1)
        podman.out("rmi changed:1")
        podman.out(f"export -o {host}/all.tar box")
        subprocess.run(["umount", host], check=True)
        names = subprocess.run(["tar", "tf", host / "all.tar"], capture_output=True, text=True, check=True).stdout
        check.match("export", names, "^dir/b$")
        check.equal(
            "--volumes-from", podman.out("run --rm --volumes-from box busybox cat /x/file"), "from the host"
        )


def test_podman_confines(podman: CommandLine, tmp_path: Path) -> None:
    profile = tmp_path / "seccomp.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    status = "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status"
    with Checks(24) as check:
        default = podman.out(f"run --rm busybox {status}").split()
        check.equal("seccomp filters", default[5], "2")
        check.equal("no-new-privileges is off", default[3], "0")
        check.true("few capabilities", 0 < int(default[1], 16).bit_count() < 16, default)
        check.match("--cap-drop all", podman.out(f"run --rm --cap-drop all busybox {status}"), "CapEff:\t0{16}")
        added = podman.out(f"run --rm --cap-drop all --cap-add net_raw busybox {status}")
        check.match("--cap-add", added, "CapEff:\t0{12}2000$")
        privileged = podman.out(f"run --rm --privileged busybox {status}")
        check.true("--privileged", int(privileged.split()[1], 16).bit_count() > 20, privileged)
        check.match("without a filter", privileged, "Seccomp:\t0")
        check.match(
            "unconfined", podman.out(f"run --rm --security-opt seccomp=unconfined busybox {status}"), "Seccomp:\t0"
        )
        denied = podman(f"run --rm --security-opt seccomp={profile} busybox mkdir /x")
        check.match("a profile", denied.err, "Operation not supported|Not supported")
        check.match(
            "no_new_privs",
            podman.out(f"run --rm --security-opt no-new-privileges busybox {status}"),
            "NoNewPrivs:\t1",
        )
        check.match(
            "mount is denied", podman("run --rm busybox mount -t tmpfs t /tmp").err, "(?i)denied|not permitted"
        )
        check.equal(
            "privileged may", podman("run --rm --privileged busybox sh -c 'mkdir /m; mount -t tmpfs t /m'").code, 0
        )
        check.equal(
            "/proc/kcore is masked", podman.out("run --rm busybox sh -c 'head -c 1 /proc/kcore | wc -c'"), "0"
        )
        check.match(
            "/proc/sys is read-only",
            podman("run --rm busybox sh -c 'echo x >/proc/sys/kernel/domainname'").err,
            "(?i)read-only",
        )
        unmasked = podman.out("run --rm --security-opt unmask=ALL busybox cat /proc/mounts")
        check.true("unmask", "/proc/kcore" not in unmasked, unmasked)
        mapped = "run --rm --uidmap 0:100000:2000 --gidmap 0:200000:2000"
        check.match("--uidmap", podman.out(f"{mapped} busybox cat /proc/self/uid_map"), r"^ +0 +100000 +2000$")
        check.equal("root inside", podman.out(f"{mapped} busybox id -u"), "0")
        check.equal("files belong to it", podman.out(f"{mapped} busybox stat -c %u:%g /bin/busybox"), "0:0")
        podman.out(f"run -d --name box {mapped[8:]} busybox sleep 100")
        pid = podman.out("inspect -f '{{.State.Pid}}' box")
        check.equal("not outside", os.stat(f"/proc/{pid}").st_uid, 100000)
        check.equal(
            "exec joins it", podman.out("exec box cat /proc/self/uid_map").split(), "0 100000 2000".split()
        )
        check.equal("-u by name", podman.out("run --rm -u nobody busybox id -un"), "nobody")
        check.equal("--group-add", podman.out("run --rm --group-add 77 busybox id -G"), "0 77")
        check.equal(
            "additional groups of a user", podman("run --rm -u 1:2 --group-add 3 busybox id -G").out, "2 3\n"
        )
        check.match("a wrong user", podman("run --rm -u nosuch busybox true").err, "nosuch")


def test_podman_looks_after_containers(podman: CommandLine, engine: Podman, tmp_path: Path) -> None:
    with Checks(22) as check:
        podman.out("create --name made busybox sh -c 'echo started'")
        check.equal("create", podman.out("inspect -f '{{.State.Status}}' made"), "created")
        podman.out("rename made named")
        check.equal("start -a", podman.out("start -a named"), "started")
        podman.out("run -d --name again --restart on-failure:2 busybox sh -c 'echo try; exit 1'")
        check.true("restarts", eventually(lambda: podman.out("inspect -f '{{.RestartCount}}' again") == "2"))
        check.true("tries", eventually(lambda: podman.out("logs again").count("try") == 3))
        test = "run -d --name sick --health-cmd 'test -e /well' --health-interval disable --health-retries 1"
        podman.out(f"{test} busybox sleep 100")
        check.equal("unhealthy", podman("healthcheck run sick").code, 1)
        podman.out("exec sick touch /well")
        check.equal("healthy", podman("healthcheck run sick").code, 0)
        events = podman.out("events --stream=false --format '{{.Name}} {{.Status}}'").splitlines()
        for event in ("made create", "named rename", "named init", "named start", "named died"):
            check.true(f"event {event}", event in events, events)
        check.equal("ps -a", podman.out("ps -a --filter name=named --format '{{.Status}}'")[:10], "Exited (0)")
        podman.out("pod create --name pod --share net,ipc,uts")
        podman.out("run -d --name one --pod pod busybox sleep 100")
        podman.out("run -d --name two --pod pod busybox sleep 100")
        spaces = [podman.out(f"exec {name} readlink /proc/self/ns/net") for name in ("one", "two")]
        check.equal("a pod shares its network", spaces[0], spaces[1])
        spaces = [podman.out(f"exec {name} readlink /proc/self/ns/pid") for name in ("one", "two")]
        check.true("but not its processes", spaces[0] != spaces[1])
        check.match(
            "pod ps",
            podman.out("pod ps --format '{{.Name}} {{.Status}} {{.NumberOfContainers}}'"),
            "pod Running 3",
        )
        podman.out("pod pause pod")
        check.equal("pod pause", podman.out("inspect -f '{{.State.Status}}' one"), "paused")
        podman.out("pod unpause pod")
        podman.out("pod stop -t 0 pod")
        check.equal("pod stop", podman.out("inspect -f '{{.State.Status}}' two"), "exited")
        play = tmp_path / "pod.yaml"
        play.write_text(POD)
        podman.out(f"play kube {play}")
        check.true("play kube", eventually(lambda: podman("exec web-one cat /shared/note").out == "hello\n"))
        check.equal("its environment", podman.out("exec web-two sh -c 'echo $GREETING'"), "hi")
        podman.out(f"play kube --down {play}")
        check.equal("play kube --down", podman.out("pod ps -q --filter name=web"), "")
        engine.remove_everything()
        check.equal(
            "nothing is left", podman.out("ps -aq") + podman.out("pod ps -q") + podman.out("volume ls -q"), ""
        )
        groups = [path for top in hierarchies() for path in (top / engine.group).rglob("libpod-*")]
        check.equal("no cgroup", [path for path in groups if "conmon" not in path.name], [])
        mounts = Path("/proc/self/mounts").read_text()
        check.true("no root file system", f"{engine.directory}/root/overlay/" not in mounts, mounts)


POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  volumes:
  - name: shared
    emptyDir: {}
  containers:
  - name: one
    image: docker.io/library/busybox:latest
    command: [sh, -c, "echo hello >/shared/note; sleep 100"]
    volumeMounts:
    - {name: shared, mountPath: /shared}
  - name: two
    image: docker.io/library/busybox:latest
    command: [sleep, "100"]
    env:
    - {name: GREETING, value: hi}
    resources:
      limits: {memory: 64Mi}
    securityContext: {readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
"""
