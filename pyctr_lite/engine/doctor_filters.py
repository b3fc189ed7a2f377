"""Whether system calls can be filtered: the default profile is really compiled, and installed in a child."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from pyctr_lite.engine import doctor_kernel, seccomp_profile
from pyctr_lite.engine.fact import Fact
from pyctr_lite.errors import PyctrError
from pyctr_lite.runtime import seccomp

_FIX = "apt-get install libseccomp2, and a kernel with CONFIG_SECCOMP_FILTER; or seccomp=unconfined"


def facts() -> Iterator[Fact]:
    """The seccomp filter, by the library and by the kernel."""
    try:
        with tempfile.TemporaryDirectory(prefix="pyctr_lite-doctor-") as directory:
            found = seccomp.load(seccomp_profile.default([]), directory)
    except (PyctrError, OSError) as error:
        yield Fact("machine", "seccomp", False, str(error), _FIX)
        return
    assert found is not None
    problem = doctor_kernel.in_child(found.install)
    count = len(found.program) // 8
    yield Fact("machine", "seccomp", not problem, problem or f"the default profile is {count} instructions", _FIX)
