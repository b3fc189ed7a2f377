"""Notification of OOM kills in a cgroup."""

from __future__ import annotations

import os
import select

from pyctr_lite import linux
from pyctr_lite.cgroups import stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group


class OomWatch:
    """Watches a group for OOM kills: `fileno()` is readable (POLLIN) when there may be new ones.

    Version 2 notifies when `memory.events` changes, version 1 by an eventfd, just before it kills. Call `read`
    once more after the container's first process has ended: it may have died before the notice was read.
    Without the memory controller there is never a notice.
    """

    def __init__(self, group: Group) -> None:
        self._group = group
        self._seen = stats.oom_kills(group)
        self._epoll = select.epoll()
        self._fds: list[int] = []
        self._eventfd = -1
        mount = group.hierarchy.of("memory")
        try:
            if mount is not None and mount.version == 2:
                self._watch_v2(mount.mountpoint + group.path)
            elif mount is not None:
                self._watch_v1(mount.mountpoint + group.path)
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor to poll for POLLIN."""
        return self._epoll.fileno()

    def read(self) -> int:
        """Return the number of kills since the last call, and rearm the notice.

        Does not block, but under version 1 waits up to 50 ms for the kernel to perform an announced kill.
        """
        if self._eventfd >= 0:
            return self._read_v1()
        for fd in self._fds:
            try:
                os.pread(fd, 4096, 0)  # reading the file on this descriptor rearms the notice
            except OSError:
                self._epoll.unregister(fd)  # the group is gone
        return self._new_kills()

    def close(self) -> None:
        """Stop watching. Idempotent."""
        self._epoll.close()
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        self._eventfd = -1

    def _watch_v2(self, directory: str) -> None:
        fd = os.open(f"{directory}/memory.events", os.O_RDONLY | os.O_CLOEXEC)
        self._fds.append(fd)
        os.pread(fd, 4096, 0)
        self._epoll.register(fd, select.EPOLLPRI)

    def _watch_v1(self, directory: str) -> None:
        self._eventfd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._fds.append(self._eventfd)
        control = os.open(f"{directory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        self._fds.append(control)
        with linux.closing(os.open(f"{directory}/cgroup.event_control", os.O_WRONLY | os.O_CLOEXEC)) as writer:
            os.write(writer, f"{self._eventfd} {control}".encode())
        self._epoll.register(self._eventfd, select.EPOLLIN)

    def _read_v1(self) -> int:
        try:
            announced = os.eventfd_read(self._eventfd)
        except BlockingIOError:
            return self._new_kills()
        if not os.path.exists(self._group.directory("memory") or ""):
            return 0  # removing the group triggers the eventfd, too
        for _ in range(50 if announced else 0):
            if new := self._new_kills():
                return new
            select.select([], [], [], 0.001)  # the kernel counts after the kill, without a notice
        return 0

    def _new_kills(self) -> int:
        now = stats.oom_kills(self._group)
        new, self._seen = max(now - self._seen, 0), max(now, self._seen)
        return new
