"""MS_RDONLY of the file system, not of the mount: nobody can write to it any more."""

CHECK = "readonly_volume"
HINT = "what was remounted?"
CHANGES = [
    (
        "            bind.bind_mount(source, mount_point(root, destination), readonly=readonly)\n",
        "            point = mount_point(root, destination)\n"
        "            linux.mount(source, point, None, linux.MS_BIND)\n"
        "            if readonly:\n"
        "                linux.mount(None, point, None, linux.MS_REMOUNT | linux.MS_RDONLY)\n",
    ),
]
