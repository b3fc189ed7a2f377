"""A user namespace that no process is in: the kernel takes the id maps of a mount from one (mount_setattr(2))."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.namespaces import idmap


def make_user_namespace(uids: list[idmap.IdMap], gids: list[idmap.IdMap]) -> int:
    """Return a descriptor of a new user namespace with these maps.

    `inside` of a map is the id on the file system, `outside` the id that its files appear with. A child makes the
    namespace, and waits until the caller has written the maps. Its pid namespace may be another than that of the
    mounted /proc, so it reads its pid there. Fails with EPERM without CAP_SETUID and CAP_SETGID.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    hold_reader, hold_writer = os.pipe2(os.O_CLOEXEC)
    try:
        pid, pidfd = linux.clone3(linux.CLONE_NEWUSER)
        if pid == 0:
            try:
                os.close(hold_writer)
                os.write(writer, os.readlink("/proc/self").encode())
                os.read(hold_reader, 1)
            finally:
                os._exit(0)
        os.close(pidfd)
        os.close(writer)
        writer = -1
        try:
            name = os.read(reader, 64).decode()
            if not name:
                raise ChildProcessError(0, "the process that makes a user namespace was killed")
            idmap.write_maps(int(name), uids, gids)
            return os.open(f"/proc/{name}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(hold_writer)
            hold_writer = -1
            os.waitpid(pid, 0)
    finally:
        for fd in {reader, writer, hold_reader, hold_writer} - {-1}:
            os.close(fd)
