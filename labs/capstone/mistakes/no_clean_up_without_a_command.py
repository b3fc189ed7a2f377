"""When there is no such command the program leaves at once, and cleans nothing up."""

CHECK = "missing_command"
HINT = "who removes it, on every way out?"
CHANGES = [
    (
        "        _, status = os.waitpid(pid, 0)\n",
        "        _, status = os.waitpid(pid, 0)\n"
        "        if os.waitstatus_to_exitcode(status) in (126, 127):\n"
        "            os._exit(os.waitstatus_to_exitcode(status))\n",
    ),
]
