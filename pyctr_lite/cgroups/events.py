"""Told when the kernel kills in a group for want of memory."""

from __future__ import annotations

import os
import select

from pyctr_lite.cgroups import stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group


class OomWatch:
    """Watches a group's OOM kills: `fileno()` is readable (POLLIN) when there may be new ones.

    Version 2 notifies of changes of `memory.events`; version 1 by an eventfd, just before it kills. Ask once
    more when the container's first process has ended: its own death may come before the notice is read.
    A machine without the memory controller never notifies.
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
        """The descriptor to poll for POLLIN."""
        return self._epoll.fileno()

    def read(self) -> int:
        """How many processes have been killed since the last time; also rearms the notice. Does not block,
        but under version 1 gives the kernel up to 50 ms to do what it announced."""
        if self._eventfd >= 0:
            return self._read_v1()
        for fd in self._fds:
            try:
                os.pread(fd, 4096, 0)  # the notice is over when this descriptor has read the file
            except OSError:
                self._epoll.unregister(fd)  # the group has gone
        return self._new()

    def close(self) -> None:
        """Watch no more. Again is fine."""
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
        writer = os.open(f"{directory}/cgroup.event_control", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(writer, f"{self._eventfd} {control}".encode())
        finally:
            os.close(writer)
        self._epoll.register(self._eventfd, select.EPOLLIN)

    def _read_v1(self) -> int:
        try:
            announced = os.eventfd_read(self._eventfd)
        except BlockingIOError:
            return self._new()
        if not os.path.exists(self._group.directory("memory") or ""):
            return 0  # the group's end is announced, too
        for _ in range(50 if announced else 0):
            if new := self._new():
                return new
            select.select([], [], [], 0.001)  # the kernel counts when it has killed, and tells nobody
        return 0

    def _new(self) -> int:
        now = stats.oom_kills(self._group)
        new, self._seen = max(now - self._seen, 0), max(now, self._seen)
        return new
