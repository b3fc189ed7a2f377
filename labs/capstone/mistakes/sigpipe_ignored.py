"""Python ignores SIGPIPE, and exec keeps it so."""

CHECK = "signals"
HINT = "ignored signals: 13"
CHANGES = [
    (
        "    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):\n"
        "        signal.signal(ignored_by_python, signal.SIG_DFL)\n",
        "",
    ),
]
