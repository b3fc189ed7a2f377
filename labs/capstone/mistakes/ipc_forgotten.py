"""Four namespaces, and System V IPC is the host's."""

CHECK = "namespaces"
HINT = "shares these namespaces with the caller: ipc"
CHANGES = [
    (
        '"uts", "ipc", ',
        '"uts", ',
    ),
]
