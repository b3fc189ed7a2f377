"""Binds with rare options: id maps of their own, and crun's for symbolic links.

A module of its own, because `run` is to start quickly.
"""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.namespaces import unpopulated
from pyctr_lite.rootfs import idmapped, target
from pyctr_lite.runtime import kernel_paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.runtime import filesystem, mounts

_NO_FOLLOW_FORBIDDEN = {0x9FA0: "proc", 0x62656572: "sysfs", 0x1CD1: "devpts"}
"""File systems, by magic number, on whose files `dest-nofollow` may not mount: /proc/self is a link."""


def clone_mapped(source: int, mount: mounts.Mount) -> int:
    """Clone the mount that `source` is open at, with the mount's own id maps."""
    below = mount.options.idmap == "ridmap"
    with linux.closing(unpopulated.make_user_namespace(mount.uids, mount.gids)) as userns_fd:
        path = f"/proc/self/fd/{source}"
        return idmapped.clone_mount(path, userns_fd, recursive=mount.is_recursive, idmap_recursive=below)


def open_without_following(root: filesystem.RootFilesystem, mount: mounts.Mount) -> int:
    """Open a mountpoint that exists, the link itself if it is one (`dest-nofollow`)."""
    parent, name = os.path.split(mount.path)
    with linux.closing(target.open_in_root(root.root_fd, parent)) as parent_fd:
        fd = linux.openat2(parent_fd, name, linux.O_PATH | os.O_NOFOLLOW, 0, linux.RESOLVE_BENEATH)
    fstype = _NO_FOLLOW_FORBIDDEN.get(linux.statfs_type(f"/proc/self/fd/{fd}"))
    if fstype:
        os.close(fd)
        raise InvalidArgument(f"mount {mount.destination}: dest-nofollow cannot cover a file of {fstype}")
    return fd


def copy_link(root: filesystem.RootFilesystem, mount: mounts.Mount) -> bool:
    """Make the same link at the destination if the source is a symbolic link, and return whether it is one."""
    try:
        link = os.readlink(root.bundle.path(mount.source))
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False
        raise
    parent, name = os.path.split(mount.path)
    with linux.closing(target.make_directory(root.root_fd, parent)) as parent_fd:
        kernel_paths.check_device(root.root_fd, parent_fd, mount.path)
        try:
            os.symlink(link, name, dir_fd=parent_fd)
        except FileExistsError:
            if os.readlink(name, dir_fd=parent_fd) != link:
                raise
    return True
