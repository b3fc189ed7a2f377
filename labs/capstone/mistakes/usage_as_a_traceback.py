"""A mistake of the caller's is an exception of the program's."""

CHECK = "usage"
HINT = "Who looks before anything is made?"
CHANGES = [
    (
        '        elif not value.isdecimal():\n            raise Mistake(f"{option} {value}: not a number")\n',
        "",
    ),
]
