"""Write a container to disk: its state, its record, and the bundle derived from the record.  [hot]"""

from __future__ import annotations

import os

from pyctr_lite import jsonfile
from pyctr_lite.engine.bundle import etc_files, mounts, spec
from pyctr_lite.engine.container import containers
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.state import states
from pyctr_lite.runtime import bundle as bundles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container


def write_new(container: Container) -> None:
    """Write a new container to disk: state, bundle, and last the record, with which the container exists."""
    for name in ("upper", "work", "rootfs"):
        os.mkdir(f"{container.directory}/{name}", 0o755)
    container.state.write(container.directory)
    container.new_bundle = write_bundle(container)
    container.record.write(container.directory)
    events.emit(container.paths, "create", container.record)


def write_bundle(container: Container) -> bundles.Bundle:
    """Write config.json and the files of /etc from the record and the current state of the machine.

    This is done at each start, so that the pids of joined containers and the host's resolv.conf are up to date.
    Raises Conflict if a container whose namespace is to be joined is not running.
    """
    home = container.home
    joined = {
        mode: containers.running_pid(home, value.partition(":")[2])
        for mode in containers.JOINABLE
        if (value := getattr(container.record.options, mode)).startswith("container:")
        and (container.state.Status != states.CREATED or containers.can_join(home, value))
    }
    etc_files.write(container)
    mounts.prepare_sources(container.record)
    group = container.paths.group(container.id)
    config = spec.build(container.record, container.directory, home.paths.volumes, group, joined)
    jsonfile.write(f"{container.directory}/config.json", config)
    return bundles.Bundle(container.directory, config)
