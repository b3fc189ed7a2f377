"""Standard input is closed off: COMMAND reads nothing."""

CHECK = "bytes_through"
HINT = "Are descriptors 0 and 1 of COMMAND still those of the caller?"
CHANGES = [
    (
        "    os.closerange(3, 1 << 20)\n",
        "    os.close(0)\n    os.pipe()\n    os.closerange(3, 1 << 20)\n",
    ),
]
