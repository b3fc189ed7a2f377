"""Findings about the filters for system calls and devices: the default ones are compiled and loaded."""

from __future__ import annotations

import os
import tempfile

from pyctr_lite.cgroups import device_filter, devices, hierarchy
from pyctr_lite.engine.bundle import seccomp_profile
from pyctr_lite.engine.doctor import kernel
from pyctr_lite.engine.doctor.finding import Finding
from pyctr_lite.errors import PyctrError
from pyctr_lite.linux import bpf
from pyctr_lite.runtime import seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_FIX = "apt-get install libseccomp2, and a kernel with CONFIG_SECCOMP_FILTER; or seccomp=unconfined"


def findings() -> Iterator[Finding]:
    """Test the seccomp filter and the device rules of cgroup version 2."""
    yield from _seccomp()
    yield _devices()


def _devices() -> Finding:
    """Load the program for device rules. It is not attached, so nothing on the machine changes."""
    needed = hierarchy.detect().of("devices") is None  # version 1 has files for the rules
    try:
        os.close(bpf.load_device_program(device_filter.compile_rules(devices.DEFAULT)))
    except OSError as error:
        text = f"the kernel refuses a BPF program for device rules: {error.strerror}"
        return Finding("machine", "device rules", False, text, "a kernel with CONFIG_CGROUP_BPF", needed=needed)
    return Finding("machine", "device rules", True, "the kernel loads them as a BPF program (cgroup version 2)")


def _seccomp() -> Iterator[Finding]:
    try:
        with tempfile.TemporaryDirectory(prefix="pyctr_lite-doctor-") as directory:
            found = seccomp.load(seccomp_profile.default([]), directory)
    except (PyctrError, OSError) as error:
        yield Finding("machine", "seccomp", False, str(error), _FIX)
        return
    assert found is not None
    problem = kernel.problem_in_child(found.install)
    count = len(found.program) // 8
    yield Finding(
        "machine", "seccomp", not problem, problem or f"the default profile has {count} instructions", _FIX
    )
