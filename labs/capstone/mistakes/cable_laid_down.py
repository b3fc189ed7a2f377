"""eth0 has its address and is never brought up."""

CHECK = "cable"
HINT = "who brings it up, and when?"
CHANGES = [
    (
        '        sock.request("ip link set up", link.NEWLINK, 0, up)\n',
        "        assert up\n",
    ),
]
