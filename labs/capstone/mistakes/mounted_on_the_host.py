"""The parent mounts the overlay, before there is a new mount namespace."""

CHECK = "host_mounts"
HINT = "what keeps mounts from being told to the host?"
CHANGES = [
    (
        "        flags = kinds.flags",
        "        mount_root(request.layers, directory)\n"
        '        stack.callback(linux.umount2, f"{directory}/root", linux.MNT_DETACH)\n'
        "        flags = kinds.flags",
    ),
    (
        "        root = mount_root(request.layers, directory)\n",
        '        root = f"{directory}/root"\n',
    ),
]
