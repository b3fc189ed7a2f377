"""pivot_root, and the old root stays mounted where it was put."""

CHECK = "old_root"
HINT = "what detaches the old one?"
CHANGES = [
    (
        "        pivot.pivot_root(root)\n",
        '        os.makedirs(f"{root}/.old")\n'
        '        linux.pivot_root(root, f"{root}/.old")\n'
        '        os.chdir("/")\n',
    ),
]
