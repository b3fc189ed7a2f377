"""The directory is changed to a home that is not /."""

CHECK = "clean_start"
HINT = "who has changed the directory last?"
CHANGES = [
    (
        "    os.closerange(3, 1 << 20)\n",
        '    os.chdir("/root")\n    os.closerange(3, 1 << 20)\n',
    ),
]
