"""What the caller has open COMMAND has, too."""

CHECK = "clean_start"
HINT = "what could it reach through them?"
CHANGES = [
    (
        "    os.closerange(3, 1 << 20)\n",
        "",
    ),
]
