"""chroot(2) in the place of pivot_root: every mount of the host is still there, below."""

CHECK = "old_root"
HINT = "what swaps the roots, and what detaches the old one?"
CHANGES = [
    (
        "        pivot.pivot_root(root)\n",
        '        os.chroot(root)\n        os.chdir("/")\n',
    ),
]
