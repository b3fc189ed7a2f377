"""A new uts namespace, with the old name in it."""

CHECK = "namespaces"
HINT = "who sets it, and when?"
CHANGES = [
    (
        '        linux.sethostname("capstone")\n',
        "",
    ),
]
