"""Move a veth made for the test into another network namespace made for the test."""

from __future__ import annotations

import socket

import pytest

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.networks import device
from tests.namespaces.test_spawn import facts

HEAD = """
import socket, struct
from pyctr_lite.errors import PyctrError
from pyctr_lite.linux import netlink
from pyctr_lite.networks import device

linux.unshare(linux.CLONE_NEWNET)
own = os.open("/proc/self/ns/net", os.O_RDONLY)
linux.unshare(linux.CLONE_NEWNET)
other = os.open("/proc/self/ns/net", os.O_RDONLY)
linux.setns(own, linux.CLONE_NEWNET)
link, create, up = netlink.Socket(), 0x600, 1
kind = netlink.nest(18, netlink.text(1, "veth"))  # IFLA_LINKINFO, IFLA_INFO_KIND
name, mtu = netlink.text(3, "box0"), netlink.number(4, 1280)
link.request("ip link add box0", 16, create, struct.pack("=BxHiII", 0, 0, 0, 0, 0) + name + mtu + kind)
index = socket.if_nametoindex("box0")
broadcast = {4: bytes([10, 1, 2, 254])}
device.add_address(link, index, device.Address(socket.AF_INET, 24, bytes([10, 1, 2, 3]), more=broadcast))

def look():
    names = [name for _, name in socket.if_nameindex()]
    moved = next((name for name in names if name in ("box0", "eth7", "net0")), "")
    there = device.addresses(netlink.Socket(), socket.if_nametoindex(moved)) if moved else []
    with socket.socket() as sock:
        import fcntl
        def ask(request):
            return fcntl.ioctl(sock, request, struct.pack("16s16x", moved.encode()))[16:]
        mtu, flags = struct.unpack_from("=i", ask(0x8921))[0], struct.unpack_from("=h", ask(0x8913))[0]
    found = [[a.family, a.prefix, *a.local, *a.more[4]] for a in there]
    report(name=moved, mtu=mtu, up=flags & 1, addresses=found)
"""


@pytest.mark.parametrize("new_name", ["", "eth7", "net%d"])
def test_a_moved_device_keeps_its_attributes_and_addresses_and_is_up(new_name: str) -> None:
    [left, arrived] = facts(
        HEAD
        + f"""
device.move("box0", other, {new_name!r})
report(left="box0" not in dict(map(reversed, socket.if_nameindex())))
linux.setns(other, linux.CLONE_NEWNET)
look()
"""
    )
    assert left == {"left": True}
    address = [int(socket.AF_INET), 24, 10, 1, 2, 3, 10, 1, 2, 254]
    name = new_name.replace("%d", "0") or "box0"
    assert arrived == {"name": name, "mtu": 1280, "up": 1, "addresses": [address]}


def test_a_device_that_does_not_exist_or_whose_new_name_is_taken_is_refused() -> None:
    found = facts(
        HEAD
        + """
for name, new in (("none0", ""), ("box0", "lo")):
    try:
        device.move(name, other, new)
    except (PyctrError, OSError) as error:
        report(error=str(error), here=os.path.samefile("/proc/self/ns/net", f"/proc/self/fd/{own}"))
"""
    )
    assert found[0] == {"error": "network device none0 does not exist in the runtime's namespace", "here": True}
    assert "exists" in str(found[1]["error"])
    assert found[1]["here"] is True


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a:b", "a b", "sixteen-bytes-ab"])
def test_a_name_that_the_kernel_refuses_is_an_error(name: str) -> None:
    with pytest.raises(InvalidArgument):
        device.check_name(name)


@pytest.mark.parametrize("name", ["eth0", "fifteen-bytes-a"])
def test_a_usual_name_is_accepted(name: str) -> None:
    device.check_name(name)
