"""Limits that the kernel counts for a user: any container can use up those of root.

`tests/networks/test_no_watch_left.py` does it with the watches of epoll(7).
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import suppress

import pytest

from pyctr_lite.linux import inotify
from tests.conftest import Pyctr


@pytest.fixture
def _no_inotify() -> Iterator[None]:
    """Take all of root's instances of inotify(7), as a program in a container can."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    taken = []
    with suppress(OSError):
        while True:
            taken.append(inotify.inotify_init1(inotify.IN_CLOEXEC))
    yield
    for fd in taken:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("_no_inotify")
def test_restart_policies_and_followers_do_without_inotify(pyctr: Pyctr) -> None:
    """Otherwise a container with default options disables the restart policies of all others."""
    script = "echo life >>/lives; wc -l </lives; [ $(wc -l </lives) = 3 ] && exec sleep 1000"
    options = "--restart", "always", "--name", "other"
    pyctr("run", "-d", *options, "busybox", "sh", "-c", script, check=True)
    assert pyctr("wait", "other", check=True).stdout == "1\n"
    while "3" not in pyctr("logs", "other", check=True).stdout:
        pass
    assert pyctr("logs", "-f", "--until", "0s", "other").stdout == "1\n2\n3\n"
    assert pyctr("inspect", "-f", "{{.RestartCount}}", "other").stdout == "2\n"
