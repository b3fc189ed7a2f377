"""The engine's own run, imported where nobody looks for it."""

CHECK = "exit_status"
HINT = "pyctr_lite.engine is not here: the capstone uses pyctr_lite.linux and your own functions"
CHANGES = [
    (
        "    try:\n        request = parse(args)\n",
        '    __import__("pyctr_lite.engine.engine")\n    try:\n        request = parse(args)\n',
    ),
]
