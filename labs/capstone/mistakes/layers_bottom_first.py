"""The layers in the order in which they were built."""

CHECK = "layers_merged"
HINT = "what is lowerdir's order?"
CHANGES = [
    (
        "overlay.overlay_options(layers, upper, work)",
        "overlay.overlay_options(layers[::-1], upper, work)",
    ),
]
