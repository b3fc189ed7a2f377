"""`image tree`: the layers of images, as a tree."""

from __future__ import annotations

from pyctr_lite.cli.command import output
from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.screen import tables
from pyctr_lite.formats import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cli.command.flags import Context
    from pyctr_lite.images.image import Image, Layer

_CREATED_BY_LENGTH = 40


class _Node:
    """A layer: the command that created it, the images of which it is the top layer, and the layers above it."""

    def __init__(self, chain_id: str, layer: Layer, created_by: str) -> None:
        self.chain_id, self.layer, self.created_by = chain_id, layer, created_by
        self.images: list[Image] = []
        self.children: dict[str, _Node] = {}


def tree(context: Context) -> int:
    """Show each layer under the layer below it, with the images of which it is the top layer."""
    flags, store = context.flags, context.engine.images
    images = [store.get(name) for name in flags.arguments] or store.list()
    roots: dict[str, _Node] = {}
    for image in images:
        entries = [entry for entry in image.config.get("history") or [] if not entry.get("empty_layer")]
        level, node = roots, None
        for number, (chain_id, layer) in enumerate(zip(image.chain_ids, image.layers, strict=True)):
            created_by = entries[number].get("created_by") or "" if number < len(entries) else ""
            node = level.setdefault(chain_id, _Node(chain_id, layer, created_by))
            level = node.children
        if node is not None and image.id not in [other.id for other in node.images]:
            node.images.append(image)
    for root in roots.values():
        _show(root, "", "", flags.no_trunc)
    return 0


def _show(node: _Node, prefix: str, indent: str, whole: bool) -> None:
    id = node.chain_id.removeprefix("sha256:")
    words = " ".join(node.created_by.split())
    made_by = output.one_line(words if whole else tables.shorten(words, _CREATED_BY_LENGTH))
    names = [name for image in node.images for name in image.references or [f"<none> {image.id[7:19]}"]]
    columns = [id if whole else id[:12], units.human_size(node.layer.size, 3), made_by]
    print(prefix + "  ".join(filter(None, columns)) + (f"  [{', '.join(names)}]" if names else ""))
    children = list(node.children.values())
    for number, child in enumerate(children):
        last = number == len(children) - 1
        _show(child, indent + ("└─ " if last else "├─ "), indent + ("   " if last else "│  "), whole)


COMMANDS = {
    "image tree": Command(
        "image tree",
        "[IMAGE...]",
        "Show the layers of images as a tree, each under the layer below it",
        (Option("no-trunc", "bool", "Don't truncate output"),),
        action=tree,
        example="pyctr_lite image tree",
        differs="Docker does not have this command. The ID of a layer is its chain ID, the name of its directory "
        "in layers/.",
    )
}
