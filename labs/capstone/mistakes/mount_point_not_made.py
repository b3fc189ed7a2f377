"""A volume whose DST is not in the layers."""

CHECK = "volume"
HINT = "two volumes whose mount points are not in the image"
CHANGES = [
    (
        "        with contextlib.suppress(FileExistsError):\n            os.mkdir(name, 0o755, dir_fd=parent)\n",
        "",
    ),
]
