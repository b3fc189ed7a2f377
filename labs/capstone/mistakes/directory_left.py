"""The directory with upper and work is never removed."""

CHECK = "nothing_after_the_end"
HINT = "there is still /tmp/capstone-"
CHANGES = [
    (
        "        stack.callback(shutil.rmtree, directory)\n",
        "",
    ),
]
