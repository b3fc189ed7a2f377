"""The signals that the parent waits for stay blocked in COMMAND."""

CHECK = "signals"
HINT = "blocked signals: 15, 17"
CHANGES = [
    (
        "    signal.pthread_sigmask(signal.SIG_SETMASK, mask)\n",
        "",
    ),
]
