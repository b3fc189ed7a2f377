"""No overlay for one layer: the layer itself is bound."""

CHECK = "fresh_upper"
HINT = "Where do the writes go?"
CHANGES = [
    (
        '    linux.mount("overlay", root, "overlay", 0,',
        "    if len(layers) == 1:\n"
        "        linux.mount(layers[0], root, None, linux.MS_BIND)\n"
        "        return root\n"
        '    linux.mount("overlay", root, "overlay", 0,',
    ),
]
