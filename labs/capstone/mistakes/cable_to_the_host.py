"""The end called eth0 is given to the program's own namespace, not to the container's."""

CHECK = "cable"
HINT = "no interface with this name"
CHANGES = [
    (
        'request.bridge, pid, "eth0", "")',
        'request.bridge, os.getpid(), "eth0", "")',
    ),
]
