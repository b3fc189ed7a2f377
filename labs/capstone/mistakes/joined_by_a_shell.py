"""The arguments are joined to one line for a shell."""

CHECK = "arguments"
HINT = "where do yours end and COMMAND's begin?"
CHANGES = [
    (
        '    environment = {"PATH": PATH, "HOME": "/root"}\n',
        '    environment = {"PATH": PATH, "HOME": "/root"}\n'
        '    command = ["sh", "-c", " ".join(command)] if len(command) > 3 else command\n',
    ),
]
