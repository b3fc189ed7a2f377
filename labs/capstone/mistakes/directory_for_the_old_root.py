"""The old root is detached, and the directory that it was put into stays."""

CHECK = "old_root"
HINT = "does pivot_root need a directory for the old root?"
CHANGES = [
    (
        "        pivot.pivot_root(root)\n",
        '        os.makedirs(f"{root}/.old")\n'
        '        linux.pivot_root(root, f"{root}/.old")\n'
        '        os.chdir("/")\n'
        '        linux.umount2("/.old", linux.MNT_DETACH)\n',
    ),
]
