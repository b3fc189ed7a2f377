"""A new network namespace, as the kernel makes it: lo is down."""

CHECK = "loopback"
HINT = "shows no UP"
CHANGES = [
    (
        "        network.bring_up_loopback()\n",
        "",
    ),
]
