"""The work is left to unshare(1)."""

CHECK = "exit_status"
HINT = "/usr/bin/unshare is not here: the capstone uses"
CHANGES = [
    (
        "        group.enter()\n        linux.sethostname",
        '        os.execv("/usr/bin/unshare", ["unshare", "-fp", "-R", request.layers[0], *request.command])\n'
        "        linux.sethostname",
    ),
]
