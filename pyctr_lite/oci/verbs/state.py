"""`state`: the state of a container as JSON (OCI runtime spec, runtime.md, "State")."""

from __future__ import annotations

from pyctr_lite import jsonfile
from pyctr_lite.oci import words
from pyctr_lite.oci.containers import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.oci.arguments import Arguments
    from pyctr_lite.oci.main import Context

SUMMARY = "print the state of a container as JSON"
WORDS = "ID"
OPTIONS = ()


def act(arguments: Arguments, context: Context) -> int:
    """Print the state."""
    container = Container.load(context.root, words.one_id(arguments))
    print(jsonfile.dumps(container.describe(), indent=2))
    return 0
