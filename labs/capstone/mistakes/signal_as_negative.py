"""The exit status of a signal as Python has it: -9, which exit(2) makes 247."""

CHECK = "signal_status"
HINT = "What does waitpid report for a signal"
CHANGES = [
    (
        "    return 128 - code if code < 0 else code\n",
        "    return code\n",
    ),
]
