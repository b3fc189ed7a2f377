"""COMMAND gets all of the caller's variables, secrets too."""

CHECK = "clean_start"
HINT = "whose variables are these?"
CHANGES = [
    (
        '    environment = {"PATH": PATH, "HOME": "/root"}\n',
        '    environment = {**os.environ, "PATH": PATH, "HOME": "/root"}\n',
    ),
]
