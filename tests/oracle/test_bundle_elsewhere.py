"""A bundle written by `create` is complete: runc and crun run it with the same result as ours."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Pyctr

PROBE = (
    "id; hostname; pwd; umask; env | sort; grep -E '^(Cap|NoNew|Seccomp)' /proc/self/status; "
    "unshare -U true 2>&1; "
    "ls /dev | grep -vE '^core$'; "
    "mount | sed 's/ type .*//; s/^[^ ]* on/on/' | grep -vE 'cgroup|/dev/console' | sort -u; "
    "head -c 1 /proc/kcore | wc -c; echo x >/proc/sys/kernel/domainname; echo y >/file && echo root is writable; "
    "cat /etc/hostname; ulimit -n | grep -c .; ulimit -c | grep -c 0; df -k /dev/shm | tail -1; "
    "cat /proc/sys/kernel/shmmni /proc/sys/net/ipv4/ip_unprivileged_port_start; "
    "head -c 1 /dev/nought | wc -c; echo x >/dev/nought; exit 7"
)
OPTIONS = {
    "plain": [],
    "user": ["-u", "nobody", "-w", "/tmp", "-e", "A=b c"],
    "limits": ["-m", "64m", "--cpus", "0.5", "--pids-limit", "50", "--cpu-shares", "512"],
    "resources": [
        *("--device", "/dev/zero:/dev/nought:r", "--ulimit", "nofile=100:200", "--ulimit", "core=0"),
        *("--sysctl", "kernel.shmmni=99", "--sysctl", "net.ipv4.ip_unprivileged_port_start=7", "--shm-size", "2m"),
    ],
    "volumes": ["-v", "data:/data", "--tmpfs", "/scratch", "-v", "/etc:/host:ro", "--read-only"],
    "capabilities": ["--cap-drop", "all", "--cap-add", "chown", "-h", "other"],
    "unprivileged": ["--security-opt", "no-new-privileges", "-u", "nobody"],
    "unconfined": ["--security-opt", "seccomp=unconfined"],
    "host": ["--net", "host", "--pid", "host", "--uts", "host"],
}


def runtime(name: str, bundle: Path, id: str) -> subprocess.CompletedProcess[str]:
    """Run a bundle by another runtime. crun refuses hybrid cgroups unless the mount of version 2 is hidden."""
    command = f"cd {bundle} && exec {name} run -b . {id}"
    if name == "crun":
        command = f"umount /sys/fs/cgroup/unified 2>/dev/null; {command}"
    args = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", command]
    return subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("other", ["runc", "crun"])
@pytest.mark.parametrize("case", OPTIONS)
def test_another_runtime_runs_our_bundle_with_the_same_result(
    pyctr: Pyctr, needs: Callable[[str], str], other: str, case: str
) -> None:
    needs(other)
    id = pyctr("create", "--name", "box", *OPTIONS[case], "busybox", "sh", "-c", PROBE, check=True).stdout.strip()
    bundle = pyctr.root / "containers" / id
    pyctr("mount", "box", check=True)
    theirs = runtime(other, bundle, f"pyctr-oracle-{id[:12]}")
    pyctr("umount", "box", check=True)
    ours = pyctr("start", "-a", "box")
    assert theirs.returncode == ours.returncode == 7, theirs.stderr
    assert theirs.stdout == ours.stdout


def test_mounting_a_running_container_is_refused(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "60", check=True)
    done = pyctr("mount", "box")
    assert done.returncode == 1
    assert "is running" in done.stderr
    assert pyctr("umount", "box").returncode == 1


def test_skopeo_and_umoci_read_the_store(pyctr: Pyctr, needs: Callable[[str], str]) -> None:
    layout = pyctr.root / "images"
    done = subprocess.run(
        [needs("skopeo"), "inspect", "--config", f"oci:{layout}:busybox:latest"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"Cmd"' in done.stdout
    listed = subprocess.run([needs("umoci"), "ls", "--layout", layout], capture_output=True, text=True, check=True)
    assert listed.stdout == "busybox:latest\n"
    missing = subprocess.run(
        [needs("skopeo"), "inspect", f"oci:{layout}:nothing"], capture_output=True, check=False
    )
    assert missing.returncode != 0
