"""`image verify`."""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Command, Context, Option
from pyctr_lite.errors import PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.stores.images import Images


def verify(context: Context) -> int:
    """Check images, by default all: documents, and every blob against its digest. Returns 1 if any is broken.

    With --repair the damaged blobs are downloaded again.
    """
    from pyctr_lite.cli.screen import for_each
    from pyctr_lite.images import verification

    store = context.engine.images
    code = 0
    for name, error in verification.verify(store, context.flags.arguments):
        if error is not None and context.flags.repair:
            error = _repair(store, name, error)
        if error is None:
            print(f"{name}: OK", flush=True)
        else:
            code = 1
            for_each.report_failure(context, error)
    return code


def _repair(store: Images, names: str, error: PyctrError) -> PyctrError | None:
    """Repair a broken image, and return the error that is left."""
    from pyctr_lite.images import verification
    from pyctr_lite.registries import repair

    name = names.partition(", ")[0]
    try:
        for digest in repair.repair(store, name):
            print(f"{name}: repaired {digest}", flush=True)
    except PyctrError as failed:
        return PyctrError(error.message, f"it cannot be repaired: {failed.message}")
    return next((left for _, left in verification.verify(store, [name])), None)


COMMANDS = {
    "image verify": Command(
        "image verify",
        "[IMAGE...]",
        "Check images: their documents, and every blob against its digest",
        (Option("repair", "bool", "Replace damaged and missing blobs by those of the image's registry"),),
        action=verify,
        example="pyctr_lite image verify",
        differs="Docker does not have this command.",
    ),
}
