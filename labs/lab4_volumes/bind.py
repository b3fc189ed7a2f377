"""A directory or file of the host, visible at a second path (exercises 4.1, 4.3 and 4.4)."""

from __future__ import annotations

import os

from labs.kit import Todo
from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind


def prepare_source(path: str, create: bool) -> None:
    """Check that the source of a bind mount exists; `create` makes a missing directory (`-v` does, `--mount` not).

    Any kind of file is a source; a symbolic link that leads nowhere is not. New directories get mode 0755 under
    the usual umask of 022, and the last one never more than that. It is not an error if another process makes
    them at the same time.
    Raises InvalidArgument: if it is missing and `create` is false, with a message that names the path; if it
    cannot be made, with Docker's, which is "error while creating mount source path 'PATH': REASON".
    """
    # 1. A source that is there stays as it is. What can be bound besides a directory? A symbolic link may lead
    #    nowhere: which look at a path notices that?
    # 2. After --mount a typing error must not become an empty directory. What does the user have to read?
    # 3. After -v the directory is there, with those above it. Two containers may start at the same moment with
    #    the same missing source: which of them may fail?
    # 4. The kernel may refuse. The user has to read one line, not a traceback: where does an OSError keep the
    #    kernel's reason?
    # A step that is called as `explain.step('mkdir("…")', function, …)` is shown by `run --explain`, too.
    raise Todo("4.1")


def bind_mount(
    source: str,
    target: str,
    *,
    readonly: bool = False,
    recursive: bool = True,
    propagation: str = "rprivate",
    flags: int = 0,
    readonly_recursive: bool = False,
) -> None:
    """Bind-mount `source` on `target`: a directory on a directory, or a file on a file.

    `recursive` includes the mounts below `source`. `readonly` makes the new mount read-only, while the source
    stays writable; with `readonly_recursive` the mounts below are read-only too (Docker since version 25; OCI's
    option `rro`), without it `target/submount` stays writable. `flags` adds MS_NOSUID and the like to the new
    mount. `propagation` decides whether later mounts below propagate between source and target.
    Fails with ENOENT if a path is missing, ENOTDIR if one path is a directory and the other is not.
    """
    # 1. Afterwards both paths lead to one inode. Read mount(2), "Creating a bind mount": which flags does the
    #    kernel look at in that call, and what becomes of the others?
    # 2. A disk may be mounted below the source. When is it to be seen below the target, and when not?
    # 3. Flags and propagation are the business of the next exercise, `bind.change_mount(target, …)`. A bind
    #    takes its propagation from the source: is there a case in which there is nothing to change?
    raise Todo("4.3")


def change_mount(
    target: str, *, readonly: bool, propagation: str, flags: int = 0, readonly_recursive: bool = False
) -> None:
    """Change flags and propagation of the mount at `target`; the arguments are those of `bind_mount`.

    The mount keeps the flags that it has. Its file system, and other mounts of it, do not change.
    `readonly_recursive` has no effect unless `readonly` is true.
    Fails with ENOENT if `target` is missing, EINVAL if it is not a mount point.
    """
    # 1. A flag such as `ro` exists twice: a mount has it, and so does its file system, with all its other
    #    mounts. Read mount(2), "Remounting an existing mount": how does a call say which of the two it means?
    # 2. A remount sets all flags of the mount anew. What becomes of a `nosuid` that you do not repeat?
    #    `bind.mount_flags(target)` returns the flags that the mount has now.
    # 3. A remount never reaches the mounts below. mount_setattr(2) does; `linux.mount_setattr` calls it. In
    #    which case is that asked for?
    # 4. `options.PROPAGATION[propagation]` are the flags of a propagation. mount(2) makes one kind of change in
    #    a call and ignores the rest: what does that mean for yours, and when does the propagation have to be
    #    set?
    raise Todo("4.4")
