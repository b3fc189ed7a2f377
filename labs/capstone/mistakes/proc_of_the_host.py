"""The host's /proc is bound into the root: it lists the host's processes."""

CHECK = "first_process"
HINT = "whose /proc is this?"
CHANGES = [
    (
        "        pivot.pivot_root(root)\n",
        '        linux.mount("/proc", f"{root}/proc", None, linux.MS_BIND | linux.MS_REC)\n'
        "        pivot.pivot_root(root)\n",
    ),
    (
        '        linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)\n',
        "",
    ),
]
