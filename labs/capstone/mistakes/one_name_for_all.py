"""The group is always called capstone: the second container cannot make it."""

CHECK = "two_at_once"
HINT = "the program ended"
CHANGES = [
    (
        "        group = Group(os.path.basename(directory))\n",
        '        group = Group("capstone")\n',
    ),
]
