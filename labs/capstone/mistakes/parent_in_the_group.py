"""The program is in the container's group itself, and counts."""

CHECK = "pids_limit"
HINT = "who else is in the group"
CHANGES = [
    (
        "        pid, _ = create.spawn",
        "        group.enter()\n        pid, _ = create.spawn",
    ),
    (
        "        _, status = os.waitpid(pid, 0)\n",
        "        _, status = os.waitpid(pid, 0)\n"
        "        for mount in group.mounts:\n"
        '            kernelfile.write(f"{mount.mountpoint}/session/cgroup.procs", "0")\n',
    ),
]
