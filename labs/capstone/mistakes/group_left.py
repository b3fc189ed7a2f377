"""The control group is never removed."""

CHECK = "nothing_after_the_end"
HINT = "there is still the control group"
CHANGES = [
    (
        "        stack.callback(group.remove)\n",
        "",
    ),
]
