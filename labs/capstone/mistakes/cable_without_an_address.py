"""The cable is laid, and eth0 gets no address."""

CHECK = "cable"
HINT = "In which namespace is an address given"
CHANGES = [
    (
        '        sock.request("ip address add", 20, netlink.CREATE | netlink.EXCL, body)  # RTM_NEWADDR\n',
        "",
    ),
]
