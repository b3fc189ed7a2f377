"""The layers end at the last --, not at the first."""

CHECK = "arguments"
HINT = "where do yours end and COMMAND's begin?"
CHANGES = [
    (
        '    at = args.index("--")\n',
        '    at = len(args) - 1 - args[::-1].index("--")\n',
    ),
]
