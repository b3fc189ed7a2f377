"""The command is searched before the roots are swapped."""

CHECK = "command_of_the_image"
HINT = "When is PATH searched"
CHANGES = [
    (
        "    try:\n        group.enter()\n",
        "    found = shutil.which(request.command[0], path=PATH)\n"
        '    request.command[0] = found or "/nosuch"\n'
        "    try:\n"
        "        group.enter()\n",
    ),
]
