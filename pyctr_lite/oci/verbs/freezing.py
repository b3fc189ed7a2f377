"""`pause` and `resume`: freeze all processes of a container, and let them go on."""

from __future__ import annotations

from pyctr_lite.errors import Conflict
from pyctr_lite.oci import words
from pyctr_lite.oci.containers import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.oci.arguments import Arguments
    from pyctr_lite.oci.main import Context

SUMMARY = "freeze a container's processes (pause), or let them go on (resume)"
WORDS = "ID"
OPTIONS = ()


def act(arguments: Arguments, context: Context) -> int:
    """Freeze or thaw a container."""
    container = Container.load(context.root, words.one_id(arguments))
    status = container.status()
    if context.verb == "pause":
        if status not in ("created", "running"):
            raise Conflict(f"container not running: {container.id} is {status}")
        container.group.freeze()
    else:
        if status != "paused":
            raise Conflict(f"container not paused: {container.id} is {status}")
        container.group.thaw()
    return 0
