"""The volume's files are copied: what COMMAND writes is lost."""

CHECK = "volume"
HINT = "is it a bind mount?"
CHANGES = [
    (
        "            bind.bind_mount(source, mount_point(root, destination), readonly=readonly)\n",
        "            shutil.copytree(source, mount_point(root, destination), dirs_exist_ok=True)\n",
    ),
]
