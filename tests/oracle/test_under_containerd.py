"""containerd on our OCI runtime, by its own client and by Kubernetes' interface, which a kubelet would speak."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labs.kit.orchestrators.containerd import Containerd
from labs.kit.orchestrators.cri import Kubelet
from tests.leaks import children, end, end_groups, hierarchies, wait_for_children
from tests.oracle.conftest import Runtime
from tests.oracle.under import Checks, CommandLine, eventually, group_file

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def daemon(
    oci_runtime: Runtime, image_archives: list[Path], needs: Callable[[str], str], short_directory: Path
) -> Iterator[Containerd]:
    """A running containerd with both images, on the runtime under test."""
    for program in ("containerd", "ctr", "containerd-shim-runc-v2"):
        needs(program)
    running, group = children(), f"pyctr-{os.getpid()}-containerd"
    daemon = Containerd(short_directory / oci_runtime.name, oci_runtime.name, oci_runtime.path, group)
    try:
        daemon.wait()
        for archive in image_archives:
            daemon("images", "import", archive)
        yield daemon
    finally:
        daemon.stop()
        end(wait_for_children(known=running, seconds=20))


@pytest.fixture
def ctr(daemon: Containerd) -> Iterator[CommandLine]:
    """containerd's own client. Its tasks are ended before the test's check for leaks."""
    before = children()
    options = (*daemon.run_options, "--cgroup", f"/{daemon.group}/ctr")
    yield CommandLine(daemon.prefix, daemon.environment, options)
    for id in daemon("containers", "ls", "-q").split():
        CommandLine(daemon.prefix, daemon.environment)(f"tasks rm -f {id}")
        daemon("containers", "rm", id)
    wait_for_children(known=before, seconds=20)
    end_groups(daemon.group, only_empty=False)


@pytest.fixture
def kubelet(daemon: Containerd, oci_runtime: Runtime, tmp_path: Path) -> Iterator[Kubelet]:
    """The calls of a kubelet. All pods are removed before the test's check for leaks."""
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed: make ready-course")
    before = children()
    kubelet = Kubelet(daemon.socket, oci_runtime.name, daemon.group, tmp_path / "pods")
    yield kubelet
    kubelet.remove_everything()
    kubelet.close()
    wait_for_children(known=before, seconds=20)
    end_groups(daemon.group, only_empty=False)


def test_ctr_runs_tasks(ctr: CommandLine) -> None:
    image = "docker.io/library/busybox:latest"
    with Checks(15) as check:
        check.equal("output", ctr.out(f"run --rm {image} one echo hello"), "hello")
        check.equal("exit code", ctr(f"run --rm {image} one sh -c 'exit 3'").code, 3)
        check.match(
            "no such program", ctr(f"run --rm {image} one nothing").err, "executable file not found in \\$PATH"
        )
        check.equal("nothing is left", ctr.out("containers ls -q"), "")
        options = "--env A=b --cwd /var --memory-limit 67108864"
        check.equal("options", ctr.out(f"run --rm {options} {image} one sh -c 'echo $A; pwd'"), "b\n/var")
        ctr.out(f"run -d {image} box sleep 100")
        check.match("tasks ls", ctr.out("tasks ls"), "^box +[0-9]+ +RUNNING")
        # runc's start returns before the program is executed
        started = eventually(
            lambda: ctr.out("tasks exec --exec-id e1 box cat /proc/1/cmdline") == "sleep\x00100\x00"
        )
        check.true("exec", started)
        check.equal("its exit code", ctr("tasks exec --exec-id e2 box sh -c 'exit 9'").code, 9)
        check.match("ps", ctr.out("tasks ps box"), r"^\d+ ")
        check.match("metrics", ctr.out("tasks metrics box"), "memory.usage_in_bytes|memory.usage")
        ctr.out("tasks pause box")
        check.match("pause", ctr.out("tasks ls"), "PAUSED")
        ctr.out("tasks resume box")
        terminal = ctr.terminal("tasks exec -t --exec-id e3 box sh", 30, 100)
        terminal.expect("# ")
        terminal.send("stty size\n")
        check.equal("a terminal", terminal.expect(r"(\d+ \d+)\r"), "30 100")
        terminal.send("exit 8\n")
        check.equal("its exit code", terminal.end(), 8)
        ctr.out("tasks kill -s KILL box")
        check.true("kill", eventually(lambda: "STOPPED" in ctr.out("tasks ls")))
        ctr.out("tasks rm box")
        check.equal("rm", "box" in ctr.out("tasks ls"), False)


def test_a_kubelet_runs_pods(kubelet: Kubelet, oci_runtime: Runtime, daemon: Containerd) -> None:
    with Checks(35) as check:
        check.equal("version", kubelet.call("Version", version="v1").runtime_name, "containerd")
        ready = {each.type: each.status for each in kubelet.call("Status").status.conditions}
        check.true("the runtime is ready", ready["RuntimeReady"])
        pod = kubelet.run_pod("web")
        sandbox = kubelet.call("PodSandboxStatus", pod_sandbox_id=pod, verbose=True)
        check.equal("the sandbox is ready", sandbox.status.state, kubelet.messages.SANDBOX_READY)
        check.equal("by the runtime class", sandbox.status.runtime_handler, oci_runtime.name)
        states = [path.name for path in (daemon.directory / "runtime/k8s.io").iterdir()]
        check.equal("the runtime under test has it", states, [pod])
        log = 'echo ready; echo oops >&2; trap "echo bye; exit 5" TERM; while :; do sleep 0.1; done'
        server = kubelet.create(pod, "server", "sh", "-c", log, envs=[{"key": "A", "value": "b"}])
        check.equal("created", kubelet.state(server), "created")
        kubelet.call("StartContainer", container_id=server)
        check.equal("running", kubelet.state(server), "running")
        check.true(
            "its log",
            eventually(lambda: set(kubelet.log(pod, "server")) == {("stdout", "ready"), ("stderr", "oops")}),
        )
        check.equal("ExecSync", kubelet.exec(server, "sh", "-c", "echo $A; echo e >&2; exit 7"), (7, "b\n", "e\n"))
        began = time.monotonic()
        try:
            kubelet.exec(server, "sleep", "100", timeout=1)
        except Exception as error:
            check.match("ExecSync has a time limit", str(error), "(?i)deadline|timeout")
        check.true("and keeps it", time.monotonic() - began < 10)
        url = kubelet.call("Exec", container_id=server, cmd=["date"], stdout=True).url
        check.match("Exec gives an address", url, "^http://127.0.0.1:")
        stats = kubelet.call("ContainerStats", container_id=server).stats
        check.true("memory in use", 0 < stats.memory.working_set_bytes.value < 64 << 20, stats)
        check.true("processor time", stats.cpu.usage_core_nano_seconds.value > 0, stats)
        listed = kubelet.call("ListContainers", filter={"pod_sandbox_id": pod}).containers
        check.equal("ListContainers", [each.metadata.name for each in listed], ["server"])
        resources = {
            "memory_limit_in_bytes": 64 << 20,
            "cpu_quota": 50000,
            "cpu_period": 100000,
            "oom_score_adj": 900,
        }
        small = kubelet.start(pod, "small", "sleep", "100", linux={"resources": resources})
        pid = str(pid_of(kubelet, small))
        check.equal("memory", group_file(pid, "memory", "memory.limit_in_bytes", "memory.max"), str(64 << 20))
        check.equal("cpu", group_file(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0], "50000")
        check.equal("oom score", Path(f"/proc/{pid}/oom_score_adj").read_text().strip(), "900")
        check.match(
            "below the pod's group", Path(f"/proc/{pid}/cgroup").read_text(), f"/{daemon.group}/web/{small}$"
        )
        kubelet.call("UpdateContainerResources", container_id=small, linux={"memory_limit_in_bytes": 96 << 20})
        check.equal("update", group_file(pid, "memory", "memory.limit_in_bytes", "memory.max"), str(96 << 20))
        shared = [os.readlink(f"/proc/{pid_of(kubelet, each)}/ns/ipc") for each in (server, small)]
        check.equal("a pod shares its IPC", shared[0], shared[1])
        own = [os.readlink(f"/proc/{pid_of(kubelet, each)}/ns/pid") for each in (server, small)]
        check.true("but not its processes", own[0] != own[1])
        check.equal("the host's network", os.readlink(f"/proc/{pid}/ns/net"), os.readlink("/proc/self/ns/net"))
        began = time.monotonic()
        kubelet.call("StopContainer", container_id=server, timeout=20)
        check.true("SIGTERM ends it", time.monotonic() - began < 10)
        check.equal("exited", (kubelet.state(server), kubelet.status(server).exit_code), ("exited", 5))
        check.true("its last words", eventually(lambda: ("stdout", "bye") in kubelet.log(pod, "server")))
        kubelet.call("RemoveContainer", container_id=server)
        kubelet.call("RemoveContainer", container_id=server)  # the kubelet may ask twice
        os.kill(int(pid), signal.SIGKILL)
        check.true("killed from outside", eventually(lambda: kubelet.state(small) == "exited"))
        check.equal("with 137", kubelet.status(small).exit_code, 137)
        hungry = kubelet.start(
            pod, "hungry", "tail", "/dev/zero", linux={"resources": {"memory_limit_in_bytes": 16 << 20}}
        )
        check.true("out of memory", eventually(lambda: kubelet.state(hungry) == "exited"))
        check.true(
            "with its reason",
            eventually(lambda: kubelet.status(hungry).reason == "OOMKilled", 5),
            kubelet.status(hungry),
        )
        try:
            kubelet.start(pod, "missing", "nothing")
        except Exception as error:
            check.match("no such program", str(error), "executable file not found in \\$PATH")
        kubelet.call("StopPodSandbox", pod_sandbox_id=pod)
        stopped = kubelet.call("PodSandboxStatus", pod_sandbox_id=pod).status
        check.equal("the sandbox is stopped", stopped.state, kubelet.messages.SANDBOX_NOTREADY)
        kubelet.call("RemovePodSandbox", pod_sandbox_id=pod)
        check.equal("nothing is left", list(kubelet.call("ListContainers").containers), [])
        check.equal("of the runtime", list((daemon.directory / "runtime/k8s.io").iterdir()), [])
        groups = [path for top in hierarchies() for path in (top / daemon.group).rglob(pod)]
        check.equal("of its cgroups", groups, [])


def test_a_kubelet_confines_containers(kubelet: Kubelet, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/file").write_text("from the host\n")
    status = ["grep", "-E", "^(CapEff|NoNewPrivs|Seccomp):", "/proc/self/status"]
    with Checks(13) as check:
        pod = kubelet.run_pod("safe", namespaces={"pid": kubelet.messages.POD})
        mounts = [
            {"container_path": "/rw", "host_path": str(tmp_path / "shared")},
            {"container_path": "/ro", "host_path": str(tmp_path / "shared"), "readonly": True},
        ]
        security = {
            "readonly_rootfs": True, "no_new_privs": True, "run_as_user": {"value": 65534},
            "supplemental_groups": [77], "capabilities": {"drop_capabilities": ["ALL"]},
            "seccomp": {"profile_type": 0}, "masked_paths": ["/proc/kcore"], "readonly_paths": ["/proc/sys"],
        }  # fmt: skip
        safe = kubelet.start(pod, "safe", "sleep", "100", mounts=mounts, linux={"security_context": security})
        check.equal("a volume", kubelet.exec(safe, "cat", "/rw/file")[1], "from the host\n")
        check.match("read-only", kubelet.exec(safe, "touch", "/ro/x")[2], "Read-only file system")
        check.match("the root, too", kubelet.exec(safe, "touch", "/x")[2], "Read-only file system")
        output = kubelet.exec(safe, *status)[1]
        check.match("no capabilities", output, "CapEff:\t0{16}")
        check.match("no new privileges", output, "NoNewPrivs:\t1")
        check.match("the default filter", output, "Seccomp:\t2")
        check.match("the user and groups", kubelet.exec(safe, "id")[1], r"uid=65534.*\b77\b")
        check.equal("a masked path", kubelet.exec(safe, "head", "-c", "1", "/proc/kcore")[1], "")
        privileged = {"privileged": True}
        pod = kubelet.run_pod("free", privileged=True)
        free = kubelet.start(pod, "free", "sleep", "100", linux={"security_context": privileged})
        output = kubelet.exec(free, *status)[1]
        check.true("privileged", int(output.split()[1], 16).bit_count() > 20, output)
        check.equal("it may mount", kubelet.exec(free, "mount", "-t", "tmpfs", "t", "/tmp")[0], 0)
        terminal = kubelet.start(pod, "tty", "sh", "-c", "tty; sleep 100", tty=True)
        check.true(
            "a terminal",
            eventually(lambda: ("stdout", "/dev/pts/0") in kubelet.log(pod, "tty")),
            kubelet.log(pod, "tty"),
        )
        check.equal("it runs", kubelet.state(terminal), "running")
        sandboxes = kubelet.call("ListPodSandbox").items
        check.equal("two pods", sorted(each.metadata.name for each in sandboxes), ["free", "safe"])


def pid_of(kubelet: Kubelet, container: str) -> int:
    """Return the pid of a container's first process, from containerd's own words."""
    import json

    info = kubelet.call("ContainerStatus", container_id=container, verbose=True).info["info"]
    return int(json.loads(info)["pid"])
