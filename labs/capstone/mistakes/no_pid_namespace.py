"""No new pid namespace, or one without a fork after unshare: COMMAND is not PID 1."""

CHECK = "first_process"
HINT = "in which process does a new pid namespace begin?"
CHANGES = [
    (
        '"net", "pid", "mnt"',
        '"net", "mnt"',
    ),
]
