"""A message cannot have a name in it that is not UTF-8: a traceback in place of a line."""

CHECK = "missing_command"
HINT = r"no\udcffsuch"
CHANGES = [
    ('.encode(errors="surrogateescape")', ".encode()"),
]
