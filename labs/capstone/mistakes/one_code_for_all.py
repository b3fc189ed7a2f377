"""Whatever keeps exec from working is 127."""

CHECK = "missing_command"
HINT = "In which process is the error of exec"
CHANGES = [
    (
        '{error.strerror}", 126)',
        '{error.strerror}", 127)',
    ),
]
