"""A bind mount ignores MS_RDONLY: it takes a second call."""

CHECK = "readonly_volume"
HINT = "How many calls does it take?"
CHANGES = [
    (
        "            bind.bind_mount(source, mount_point(root, destination), readonly=readonly)\n",
        "            flags = linux.MS_BIND | (linux.MS_RDONLY if readonly else 0)\n"
        "            linux.mount(source, mount_point(root, destination), None, flags)\n",
    ),
]
