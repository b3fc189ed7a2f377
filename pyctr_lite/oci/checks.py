"""Warnings and details of a process for the runtime's log."""

from __future__ import annotations

from pyctr_lite.oci import containers
from pyctr_lite.runtime import capabilities, seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.oci.main import Context


def warn(process: dict[str, Any], context: Context) -> None:
    """Warn of capabilities of a `process` object that have no effect, as the spec requires (config.md)."""
    for text in capabilities.warnings(process.get("capabilities") or {}):
        context.log.warning(text)


def report_affinity(process: dict[str, Any], context: Context) -> None:
    """With `--debug`, log the CPU affinity that an exec starts with, in runc's words."""
    initial = (process.get("execCPUAffinity") or {}).get("initial")
    if context.log.debugs and initial:
        from pyctr_lite.runtime import scheduling

        mask = sum(1 << cpu for cpu in scheduling.parse_list(initial, "initial"))
        context.log.debug(f"nsexec: affinity: {mask:#x}")


def report_filter(config: dict[str, Any], context: Context) -> None:
    """With `--debug`, log the flags of the container's seccomp filter in runc's words."""
    if not context.log.debugs:
        return
    filter = seccomp.load((config.get("linux") or {}).get("seccomp"), containers.FILTERS)
    if filter is not None:
        context.log.debug(f"seccomp filter flags: {filter.flags}")
