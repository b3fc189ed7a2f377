"""No mount is made private: pivot_root(2) refuses a root whose parent mount is shared."""

CHECK = "exit_status"
HINT = "cannot prepare the container: OSError: [Errno 22] pivot_root"
CHANGES = [
    (
        '        linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)\n',
        "",
    ),
]
