"""`create`: a container whose program waits for `start`."""

from __future__ import annotations

from pyctr_lite.oci import creation, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.oci.arguments import Arguments
    from pyctr_lite.oci.main import Context

SUMMARY = "create a container from a bundle; its program waits for start"
WORDS = "ID"
OPTIONS = creation.OPTIONS


def act(arguments: Arguments, context: Context) -> int:
    """Create a container. Nothing of the runtime is left running."""
    creation.create(words.one_id(arguments), arguments, context)
    return 0
