"""`run`: create and start; in the foreground also wait, and delete."""

from __future__ import annotations

import os

from pyctr_lite.oci import creation, words
from pyctr_lite.oci.arguments import Option
from pyctr_lite.oci.containers import Lock
from pyctr_lite.oci.verbs import delete, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.oci.arguments import Arguments
    from pyctr_lite.oci.main import Context

SUMMARY = "create and start a container, and wait for its end"
WORDS = "ID"
OPTIONS = (
    *creation.OPTIONS,
    Option("detach", "do not wait for its end", short="d"),
    Option("keep", "keep its state after its end"),
    Option("no-subreaper", "do not adopt the container's orphans while waiting"),
)


def act(arguments: Arguments, context: Context) -> int:
    """Run a container. Returns the exit code of its program, or 0 with `--detach`."""
    id, caller, code = words.one_id(arguments), None, 0
    if not arguments.on("detach"):
        from pyctr_lite.oci import foreground

        process = creation.load(arguments).config["process"]
        adopts = not arguments.on("no-subreaper")
        caller = foreground.Foreground(terminal=bool(process.get("terminal")), process=process, subreaper=adopts)
    created = creation.create(id, arguments, context, caller.stdio if caller else None)
    container, runs_on = created.container, False
    try:
        start.start(container, context)
        if caller is not None:
            code = caller.run(created.launched)
        else:
            runs_on = True
    finally:
        ended = not runs_on and os.path.exists(container.directory)  # else `start` has destroyed it
        if ended and not arguments.on("keep"):
            lock = Lock(container)
            delete.delete(container, context, force=True)
            lock.release()
    return code
