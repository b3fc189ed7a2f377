"""The group is always called capstone, and taken if it is there."""

CHECK = "two_at_once"
HINT = "what happens when the first is cleaned up?"
CHANGES = [
    (
        "        group = Group(os.path.basename(directory))\n",
        '        group = Group("capstone")\n',
    ),
    (
        "            os.mkdir(mount.mountpoint + self.path)\n",
        "            os.makedirs(mount.mountpoint + self.path, exist_ok=True)\n",
    ),
]
