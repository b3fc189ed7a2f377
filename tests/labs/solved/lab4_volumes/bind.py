"""A directory of the host, seen at a second place (exercises 4.1, 4.3 and 4.4)."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain
from pyctr_lite.rootfs import options
from pyctr_lite.volumes import bind


def prepare_source(path: str, create: bool) -> None:
    if os.path.exists(path):
        return
    if not create:
        raise InvalidArgument(f"bind source path does not exist: {path}")
    try:
        explain.step(f'mkdir("{path}")', os.makedirs, path, mode=0o755, exist_ok=True)
    except OSError as error:
        message = f"error while creating mount source path '{path}': {error.strerror}"
        raise InvalidArgument(message) from error


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
    how = linux.MS_BIND
    if recursive:
        how |= linux.MS_REC
    linux.mount(source, target, None, how)
    bind.change_mount(
        target, readonly=readonly, propagation=propagation, flags=flags, readonly_recursive=readonly_recursive
    )


def change_mount(
    target: str, *, readonly: bool, propagation: str, flags: int = 0, readonly_recursive: bool = False
) -> None:
    if readonly:
        flags |= linux.MS_RDONLY
    if flags:
        before = bind.mount_flags(target)
        linux.mount(None, target, None, linux.MS_BIND | linux.MS_REMOUNT | before | flags)
    if readonly and readonly_recursive:
        linux.mount_setattr(linux.AT_FDCWD, target, linux.AT_RECURSIVE, set=linux.MOUNT_ATTR_RDONLY)
    linux.mount(None, target, None, options.PROPAGATION[propagation])
