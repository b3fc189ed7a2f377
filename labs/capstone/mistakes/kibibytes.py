"""-m in KiB, as ulimit has it."""

CHECK = "memory_limit"
HINT = "which file sets it?"
CHANGES = [
    (
        "            request.memory = int(value)\n",
        "            request.memory = int(value) * 1024\n",
    ),
]
