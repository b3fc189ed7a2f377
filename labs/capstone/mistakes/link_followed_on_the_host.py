"""The mount point is a path of the host's: a link in the image leads out."""

CHECK = "link_to_the_host"
HINT = "from which root was the link followed?"
CHANGES = [
    (
        "    root_fd = os.open(root, linux.O_PATH | os.O_DIRECTORY)\n",
        "    os.makedirs(root + path, exist_ok=True)\n"
        "    return root + path\n"
        "    root_fd = os.open(root, linux.O_PATH | os.O_DIRECTORY)\n",
    ),
]
