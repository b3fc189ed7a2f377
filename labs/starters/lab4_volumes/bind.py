"""A directory of the host, seen at a second place (exercises 4.1, 4.3 and 4.4)."""

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

    Raises InvalidArgument if it is missing and `create` is false, or if it cannot be made.
    """
    # 1. Is something there, a directory or a file? Then all is well.
    # 2. Something is missing. Is it to be made? If not: raise InvalidArgument, and name the path.
    # 3. Make the directory, and those above it: `os.makedirs`, mode 0o755, `exist_ok=True` for another container
    #    that makes it at the same moment. An OSError becomes an InvalidArgument: "error while creating mount
    #    source path '<path>': <why>" (`error.strerror`).
    #    Called as `explain.step('mkdir("…")', os.makedirs, …)` it is told by `run --explain`, too.
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
    # 1. Bind: `linux.mount(source, target, None, linux.MS_BIND)`. Where `recursive` says so, take the mounts below
    #    along: `linux.MS_BIND | linux.MS_REC`. (Your argument `flags` is not for this call: see 3.)
    # 2. Try to give MS_RDONLY in the same call, and read in mount(2), "Creating a bind mount", why nothing comes
    #    of it.
    # 3. What else the new mount shall be is the next exercise's: `bind.change_mount(target, …)`. Hand on all that
    #    you were given.
    raise Todo("4.3")


def change_mount(
    target: str, *, readonly: bool, propagation: str, flags: int = 0, readonly_recursive: bool = False
) -> None:
    """Change flags and propagation of the mount at `target`; the arguments are those of `bind_mount`."""
    # 1. Is it to be read-only, or to have more flags? Then it takes a remount:
    #    `linux.mount(None, target, None, linux.… | linux.… | …)`. Two of its flags say "change what is there" and
    #    "change this mount alone, not the file system with all its mounts": mount(2), "Remounting an existing
    #    mount". Without the second one the source is read-only as well.
    # 2. A remount sets all flags of a mount anew: what is not given is taken away. `bind.mount_flags(target)` are
    #    those that it has now.
    # 3. A remount never reaches the mounts below. Where they shall be read-only too, change the whole tree:
    #    `linux.mount_setattr(linux.AT_FDCWD, target, linux.AT_RECURSIVE, set=linux.MOUNT_ATTR_RDONLY)`.
    # 4. Propagation takes a call of its own, always: `options.PROPAGATION[propagation]` are its flags.
    raise Todo("4.4")
