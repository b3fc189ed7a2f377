"""`start`: open the gate, so that the program of a created container runs."""

from __future__ import annotations

from pyctr_lite.errors import Conflict, ProgramError, PyctrError
from pyctr_lite.oci import words
from pyctr_lite.oci.containers import Container
from pyctr_lite.runtime import state as runtime_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.oci.arguments import Arguments
    from pyctr_lite.oci.main import Context

SUMMARY = "run the program of a created container"
WORDS = "ID"
OPTIONS = ()


def act(arguments: Arguments, context: Context) -> int:
    """Start a container; return once its program runs and its poststart hooks have ended."""
    start(Container.load(context.root, words.one_id(arguments)), context)
    return 0


def start(container: Container, context: Context) -> None:
    """Open the gate, and run the poststart hooks.

    If a hook fails, one of these or one inside, the container is destroyed. Raises Conflict if the container does
    not wait for it, and the error of a hook or an exec that fails.
    Source: runtime.md, "Lifecycle", steps 7 and 9.
    """
    status = container.status()
    if status != "created":
        raise Conflict(f"cannot start a container that is {status}: {container.id}")
    try:
        runtime_state.open_gate(container.directory, once=True)
    except (ProcessLookupError, FileNotFoundError):
        raise Conflict(f"cannot start a container that has just ended or been started: {container.id}") from None
    except ProgramError:
        raise
    except PyctrError:
        _destroy(container, context)
        raise
    if "poststart" not in container.state["hooks"]:
        return
    from pyctr_lite.runtime import hooks

    try:
        hooks.run("poststart", container.config()["hooks"]["poststart"], container.hook_state("running"))
    except BaseException:
        _destroy(container, context)
        raise


def _destroy(container: Container, context: Context) -> None:
    from pyctr_lite.oci.containers import Lock
    from pyctr_lite.oci.verbs import delete

    lock = Lock(container)
    delete.delete(container, context, force=True)
    lock.release()
