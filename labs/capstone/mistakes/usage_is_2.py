"""2 for a wrong command line, as argparse has it."""

CHECK = "usage"
HINT = "Who looks before anything is made?"
CHANGES = [
    (
        "        return told(str(mistake), 125)\n",
        "        return told(str(mistake), 2)\n",
    ),
]
