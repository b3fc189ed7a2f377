"""The parent moves the child into the group when it already runs."""

CHECK = "limits_from_the_start"
HINT = "Who has to wait for whom?"
CHANGES = [
    (
        "    try:\n        group.enter()\n",
        "    try:\n",
    ),
    (
        "        terminated = signal",
        "        for mount in group.mounts:\n"
        "            with contextlib.suppress(ProcessLookupError):\n"
        '                kernelfile.write(f"{mount.mountpoint}{group.path}/cgroup.procs", str(pid))\n'
        "        terminated = signal",
    ),
]
