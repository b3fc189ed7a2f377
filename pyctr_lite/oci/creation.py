"""`create`, and the first half of `run`: from a bundle to a container that waits at its gate."""

from __future__ import annotations

import os
import pwd

from pyctr_lite.cgroups import paths
from pyctr_lite.oci import checks, console, containers, descriptors
from pyctr_lite.oci.arguments import Option
from pyctr_lite.runtime import bundle as bundles
from pyctr_lite.runtime import launch
from pyctr_lite.runtime import state as runtime_state
from pyctr_lite.runtime.settings import Settings, Stdio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.cgroups import group as groups
    from pyctr_lite.oci.arguments import Arguments
    from pyctr_lite.oci.containers import Container
    from pyctr_lite.oci.main import Context
    from pyctr_lite.runtime.launched import Launched

OPTIONS = (
    Option("bundle", "directory of the bundle (default: this directory)", "DIRECTORY", "b"),
    Option("config", "the configuration, from the bundle on (default: config.json; crun's option)", "FILE", "f"),
    *descriptors.OPTIONS,
    Option("no-pivot", "do not use pivot_root(2), for a root on a ramdisk"),
    Option("no-new-keyring", "keep the caller's session keyring"),
)
"""The options of `create` and `run`."""


KEEP_GROUPS = "run.oci.keep_original_groups"
"""Annotation: the program keeps the caller's groups (crun's; `podman run --group-add keep-groups`)."""


class Created:
    """A container that waits at its gate, while its launcher is still there."""

    __slots__ = ("container", "launched")

    def __init__(self, container: Container, launched: Launched) -> None:
        self.container, self.launched = container, launched


def create(id: str, arguments: Arguments, context: Context, stdio: Stdio | None = None) -> Created:
    """Create a container. Raises the error of the step that failed; then nothing is left behind.

    `stdio` is that of a program in the foreground; by default the program gets the caller's, or a terminal whose
    master goes to the console socket.
    """
    container = containers.Container(context.root, id)
    bundle = load(arguments)
    process: dict[str, Any] = bundle.config["process"]
    checks.warn(process, context)
    preserved = descriptors.preserved(arguments, process)
    terminal, foreground = bool(process.get("terminal")), stdio is not None
    console.check(arguments.text("console-socket"), wanted=terminal, foreground=foreground)
    if stdio is None:
        stdio = Stdio((0, 1, 2), terminal=terminal, **console.size(process))
    checks.report_filter(bundle.config, context)
    lock = containers.make(container)
    settings = Settings(
        all_cpus=True,
        detached=True,
        preserve_fds=preserved,
        pivot=not arguments.on("no-pivot"),
        new_keyring=not arguments.on("no-new-keyring"),
        state=bundle.first_state(container.id),
    )
    group = _group(container, bundle, context)
    try:
        launched, _ = launch.create_container(
            bundle, container.directory, stdio, containers.FILTERS, settings, group
        )
    except BaseException:
        _run_poststop(bundle, settings.state, context)
        raise
    try:
        paths.delegate(group, bundle.config)
        _write(container, bundle, launched, group)
        descriptors.answer(launched, arguments)
        launched.detach()
    except BaseException:
        launched.destroy()
        group.destroy()
        runtime_state.remove(container.directory)
        _run_poststop(bundle, settings.state, context)
        raise
    lock.release()
    return Created(container, launched)


def load(arguments: Arguments) -> bundles.Bundle:
    """Read the bundle of `create` or `run`."""
    bundle = bundles.load(arguments.text("bundle", "."), arguments.text("config", "config.json"), host=True)
    if (bundle.config.get("annotations") or {}).get(KEEP_GROUPS):
        user: dict[str, Any] = bundle.config["process"].setdefault("user", {})
        user["additionalGids"] = sorted({*(user.get("additionalGids") or []), *os.getgroups()})
    return bundle


def _group(container: Container, bundle: bundles.Bundle, context: Context) -> groups.Group:
    try:
        group = paths.resolve(
            (bundle.config.get("linux") or {}).get("cgroupsPath"),
            container.id,
            systemd_cgroup=context.systemd,
            annotations=bundle.config.get("annotations"),
        )
        paths.require_unused(group)
    except BaseException:
        runtime_state.remove(container.directory)
        raise
    return group


def _write(container: Container, bundle: bundles.Bundle, launched: Launched, group: groups.Group) -> None:
    from pyctr_lite import jsonfile

    linux = bundle.config.get("linux") or {}
    hooks = bundle.config.get("hooks") or {}
    container.state = {
        "ociVersion": bundle.config["ociVersion"],
        "id": container.id,
        "pid": launched.pid,
        "pidStart": runtime_state.start_time(launched.pid),
        "bundle": bundle.directory,
        "rootfs": bundle.rootfs,
        "created": containers.now(),
        "owner": pwd.getpwuid(os.getuid()).pw_name,
        "cgroup": paths.to_state(group),
        "ownPids": any(entry["type"] == "pid" for entry in linux.get("namespaces") or []),
        "hooks": [kind for kind in ("poststart", "poststop") if hooks.get(kind)],
        "annotations": bundle.config.get("annotations") or {},
    }
    jsonfile.write(f"{container.directory}/config.json", bundle.config, 0o600)
    container.write()


def _run_poststop(bundle: bundles.Bundle, state: dict[str, Any], context: Context) -> None:
    """Run the hooks that follow the end of a container that could not be created (runtime.md, "Lifecycle")."""
    if not bundle.has_hooks("poststop"):
        return
    from pyctr_lite.runtime import hooks

    for error in hooks.run_all("poststop", bundle.config["hooks"]["poststop"], {**state, "status": "stopped"}):
        context.log.warning(str(error))
