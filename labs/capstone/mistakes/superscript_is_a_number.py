"""isdigit says yes to a superscript two, and int fails: a traceback."""

CHECK = "usage"
HINT = "a limit that only looks like a number"
CHANGES = [
    ("not value.isdecimal()", "not value.isdigit()"),
]
