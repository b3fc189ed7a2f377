"""The child's end is seen, and nobody waits for it."""

CHECK = "nothing_after_the_end"
HINT = "there is still a zombie"
CHANGES = [
    (
        "        _, status = os.waitpid(pid, 0)\n",
        "        seen = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n        status = seen.si_status << 8\n",
    ),
]
