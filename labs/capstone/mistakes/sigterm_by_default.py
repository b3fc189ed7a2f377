"""SIGTERM ends the program at once, and the container goes on."""

CHECK = "terminated"
HINT = "Which process has the signal"
CHANGES = [
    (
        "mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, ",
        "mask = signal.pthread_sigmask(signal.SIG_BLOCK, [",
    ),
    (
        "signal.sigwait([signal.SIGTERM, signal.SIGCHLD])",
        "signal.sigwait([signal.SIGCHLD])",
    ),
]
