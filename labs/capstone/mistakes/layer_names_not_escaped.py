"""lowerdir is put together by hand: a colon in a name makes two layers."""

CHECK = "layers_merged"
HINT = "three layers, `run top"
CHANGES = [
    (
        "overlay.overlay_options(layers, upper, work)",
        "f\"lowerdir={':'.join(layers)},upperdir={upper},workdir={work}\"",
    ),
]
