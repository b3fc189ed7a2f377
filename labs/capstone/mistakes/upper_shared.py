"""The upper is the same in each run, and stays."""

CHECK = "fresh_upper"
HINT = "how new is its upper?"
CHANGES = [
    (
        '    upper, work, root = (f"{directory}/{name}" for name in ("upper", "work", "root"))\n'
        "    for path in (upper, work, root):\n"
        "        os.mkdir(path)\n",
        "    top = tempfile.gettempdir()\n"
        '    upper, work, root = f"{top}/upper", f"{top}/work", f"{directory}/root"\n'
        "    for path in (upper, work, root):\n"
        "        os.makedirs(path, exist_ok=True)\n",
    ),
]
