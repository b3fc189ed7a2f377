"""SIGTERM is passed on to PID 1 of the container, which ignores it."""

CHECK = "terminated"
HINT = "has not ended after"
CHANGES = [
    (
        "            os.kill(pid, signal.SIGKILL)\n",
        "            os.kill(pid, signal.SIGTERM)\n",
    ),
]
