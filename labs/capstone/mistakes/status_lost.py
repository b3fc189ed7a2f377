"""Always 0: whether COMMAND worked nobody can see."""

CHECK = "exit_status"
HINT = "Who waits for COMMAND"
CHANGES = [
    (
        "    return 128 - code if code < 0 else code\n",
        "    return 0\n",
    ),
]
