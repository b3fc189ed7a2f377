"""The checks of lab 6. Each call that reaches the kernel's network stack is made in a namespace of its own."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
import stat
import struct
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from labs.kit.checks.arena import SLOWNESS
from labs.kit.checks.expect import equal, errno_name, expect
from labs.kit.checks.networks import add_bridge, connected, inside, links, listening
from labs.kit.checks.syscalls import FILES, WRITES, Fault, Watch
from pyctr_lite import linux
from pyctr_lite.engine.state.paths import Paths
from pyctr_lite.engine.stores.networks import Networks
from pyctr_lite.errors import Conflict, InvalidArgument
from pyctr_lite.linux import netlink
from pyctr_lite.networks import dns, link, nft, rules
from pyctr_lite.networks.pool import Addresses, Subnet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from labs.kit.checks.arena import Answer, Arena, Process
    from labs.kit.checks.syscalls import Call
    from labs.kit.checks.yours import Function, Yours

NET = linux.CLONE_NEWNET


@contextlib.contextmanager
def holder(arena: Arena) -> Iterator[Process]:
    """A process that waits in a network namespace of its own."""
    with arena.process(NET, load="nothing") as process:
        yield process


def hex_of(data: object) -> str:
    """Bytes as a learner compares them: groups of four."""
    return data.hex(" ", -4) if isinstance(data, bytes) else repr(data)


def is_bytes(found: object, call: str) -> bytes:
    expect(isinstance(found, bytes), f"{call} gives {found!r}. A message is bytes: what are yours?")
    assert isinstance(found, bytes)
    return found


# --- 6.1 -------------------------------------------------------------------------------------------------

VALUES = (b"e", b"et", b"eth", b"eth0", b"eth0\0", bytes(6), b"\xff" * 7, b"", bytes(range(256)))


def shown_attribute(kind: int, value: bytes) -> str:
    return f"attribute({kind}, {value!r})" if len(value) < 20 else f"attribute({kind}, <{len(value)} bytes>)"


def test_6_1_the_length_counts_its_head_and_the_value(yours: Yours) -> None:
    for value in VALUES:
        call = shown_attribute(3, value)
        found = is_bytes(yours(3, value), call)
        expect(
            len(found) >= 4, f"{call} gives {len(found)} bytes. Length and kind alone are four: where are they?"
        )
        length, kind = struct.unpack_from("=HH", found)
        swapped = struct.unpack_from(">HH", found)
        expect(
            (length, kind) != (3, 4 + len(value)),
            f"{call}: the kind stands where the length should be. Which of the two comes first?",
        )
        expect(
            swapped != (4 + len(value), 3) or (length, kind) == (4 + len(value), 3),
            f"{call} begins with the bytes {hex_of(found[:4])}: length and kind with the high byte first. Whose "
            "byte order does the kernel of this machine have?",
        )
        expect(
            length != len(value) or not value,
            f"{call}: the length is {length}, that of the value alone. What else belongs to an attribute?",
        )
        expect(
            length == 4 + len(value),
            f"{call}: the length is {length}; the head of four bytes and the value of {len(value)} are "
            f"{4 + len(value)}. Are the zero bytes at the end counted? A name would get longer by them.",
        )
        equal(kind, 3, f"{call}: the kind")


def test_6_1_the_value_comes_next_and_then_zero_bytes(yours: Yours) -> None:
    for value in VALUES:
        call = shown_attribute(1, value)
        found = is_bytes(yours(1, value), call)
        expect(
            found[4 : 4 + len(value)] == value,
            f"{call}: behind the head there is\n    {hex_of(found[4:44])}\nand not the value. What is between "
            "them?",
        )
        rest, wanted = found[4 + len(value) :], -len(value) % 4
        expect(
            len(found) % 4 == 0,
            f"{call} has {len(found)} bytes, which is not a multiple of four: the kernel looks for the next "
            "attribute at the next multiple. What is missing at the end?",
        )
        expect(
            len(rest) == wanted,
            f"{call}: {len(rest)} bytes follow the value of {len(value)}, and {wanted} are needed. How many zero "
            "bytes does a length need that is a multiple of four already?",
        )
        expect(not any(rest), f"{call}: the value is filled up with {hex_of(rest)}; zero bytes are asked for")


def test_6_1_any_kind_and_value(yours: Yours) -> None:
    drawn = random.Random(61)
    for _ in range(60):
        kind, value = drawn.randrange(1 << 16), drawn.randbytes(drawn.randrange(40))
        found = yours(kind, value)
        equal(hex_of(found), hex_of(netlink.attribute(kind, value)), shown_attribute(kind, value))
    equal(hex_of(yours(0, b"")), hex_of(struct.pack("=HH", 4, 0)), "attribute(0, b''): the kind 0 is a kind")


def test_6_1_what_does_not_fit_is_an_error(yours: Yours) -> None:
    found = is_bytes(yours(1, bytes(65531)), "attribute(1, <65531 bytes>)")
    equal(
        struct.unpack_from("=H", found)[0], 65535, "the length of an attribute with 65531 bytes, the longest value"
    )
    equal(len(found), 65536, "the bytes of an attribute with 65531 bytes, the longest value, and one zero byte")
    about = "A length of 16 bits cannot say how long it is: what would the kernel read as the next attribute?"
    for size in (65532, 65536, 70000):
        yours.raises(struct.error, 1, bytes(size), about=about)
    for kind in (65536, 65537, 1 << 20, -1):
        about = f"A kind of 16 bits cannot be {kind}: which attribute would the kernel read in its place?"
        yours.raises(struct.error, kind, b"x", about=about)


def test_6_1_the_kernel_reads_what_is_made_of_it(yours: Yours) -> None:
    for name in ("a", "abc", "br0", "pc-0123456789ab"):
        info = netlink.nest(18, netlink.text(1, "bridge"))[4:]
        parts = [(3, name.encode() + b"\0"), (4, struct.pack("=I", 1400)), (18 | 0x8000, info)]
        with yours.at(NET) as function:
            answer = function.answer((struct.pack("=BxHiII", 0, 0, 0, 0, 0), parts), scene="in_a_body")
            expect(
                answer.raised is None,
                f"of name, MTU and kind the kernel should make a bridge {name!r}; it says\n    {answer.raised}\n"
                "Which of the attributes can it not read, and where does it look for it?",
            )
            made = inside(function.process.pid, links)
            expect(name in made, f"a bridge {name!r} was asked for, and there are {', '.join(made)}")
            equal(made[name].mtu, 1400, f"the MTU of the bridge {name!r}, which came behind the name")


def test_6_1_the_engine_puts_its_messages_together_of_it(pyctr: Any) -> None:
    said = pyctr("run", "--rm", "-p", "80", "busybox", "cat", "/sys/class/net/eth0/flags").stdout.strip()
    equal(said, "0x1003", "the flags of a container's eth0: up (0x1), broadcast (0x2) and multicast (0x1000)")


# --- 6.2 -------------------------------------------------------------------------------------------------

BODIES = (b"x", b"ab", b"abc", b"abcd", bytes(16), b"", bytes(range(200)) + b"!")


def shown_message(kind: int, flags: int, serial: int, body: bytes) -> str:
    text = repr(body) if len(body) < 20 else f"<{len(body)} bytes>"
    return f"message({kind}, {flags:#x}, {serial}, {text})"


def test_6_2_the_header_has_five_numbers(yours: Yours) -> None:
    for body in BODIES:
        call = shown_message(18, 0x300, 77, body)
        found = is_bytes(yours(18, 0x300, 77, body), call)
        expect(
            len(found) >= 16, f"{call} gives {len(found)} bytes; the header alone has 16. Which number is missing?"
        )
        length, kind, flags, serial, port = struct.unpack_from("=IHHII", found)
        swapped = struct.unpack_from(">IHHII", found)
        expect(
            swapped[1] != 18 or kind == 18,
            f"{call} begins with the bytes {hex_of(found[:16])}: the high byte is first. Whose byte order does "
            "the kernel of this machine have?",
        )
        expect(
            length != len(body) or not body,
            f"{call}: the length is {length}, that of the body alone. How does the kernel know where it ends?",
        )
        expect(
            length == 16 + len(body),
            f"{call}: the length is {length}; header and body are {16 + len(body)} bytes. Are the zero bytes at "
            "the end counted? Who reads them as a part of the body?",
        )
        equal(kind, 18, f"{call}: the kind, 16 bits behind the length")
        expect(
            flags & 1,
            f"{call}: the flags are {flags:#x}, without NLM_F_REQUEST (1): the kernel drops the message without a "
            "word. What tells it that this is a request?",
        )
        equal(flags, 0x301, f"{call}: the flags, which are those given and NLM_F_REQUEST")
        equal(serial, 77, f"{call}: the serial number. How does an answer find its question?")
        equal(port, 0, f"{call}: the port. Whom does the message go to?")


def test_6_2_the_body_comes_next_and_then_zero_bytes(yours: Yours) -> None:
    for body in BODIES:
        call = shown_message(16, 4, 1, body)
        found = is_bytes(yours(16, 4, 1, body), call)
        expect(
            found[16 : 16 + len(body)] == body,
            f"{call}: behind the header there is\n    {hex_of(found[16:56])}\nand not the body",
        )
        rest, wanted = found[16 + len(body) :], -len(body) % 4
        expect(
            len(found) % 4 == 0,
            f"{call} has {len(found)} bytes, which is not a multiple of four: where would the next message of a "
            "batch begin, and where does the kernel look for it?",
        )
        expect(
            len(rest) == wanted,
            f"{call}: {len(rest)} bytes follow a body of {len(body)}, and {wanted} are needed. How many zero "
            "bytes does a body need whose length is a multiple of four?",
        )
        expect(not any(rest), f"{call}: the body is filled up with {hex_of(rest)}; zero bytes are asked for")


def test_6_2_a_flag_may_be_given_twice(yours: Yours) -> None:
    found = is_bytes(yours(16, 0x605, 1, b""), "message(16, 0x605, 1, b'')")
    flags = struct.unpack_from("=IHH", found)[2]
    expect(
        flags == 0x605,
        f"the flags 0x605 have NLM_F_REQUEST (1) already, and they become {flags:#x}. Which operator sets a bit "
        "that may be set?",
    )


def test_6_2_any_numbers(yours: Yours) -> None:
    drawn = random.Random(62)
    for _ in range(60):
        kind, flags, serial = drawn.randrange(1 << 16), drawn.randrange(1 << 16), drawn.randrange(1 << 32)
        body = drawn.randbytes(drawn.randrange(30))
        found = yours(kind, flags, serial, body)
        wanted = netlink.message(kind, flags, serial, body)
        equal(hex_of(found), hex_of(wanted), shown_message(kind, flags, serial, body))
    about = "message(0, 0, 0, b''): 0 is a number as any other"
    equal(hex_of(yours(0, 0, 0, b"")), hex_of(struct.pack("=IHHII", 16, 0, 1, 0, 0)), about)


def test_6_2_a_body_may_be_long(yours: Yours) -> None:
    for size in (65519, 65520, 65536, 100_001):
        answer = yours.answer((16, 0, 1, bytes(size)))
        call = shown_message(16, 0, 1, bytes(size))
        about = f"{call}: how many bits has the length of a message?"
        expect(answer.raised is None, f"{about.replace(': how', ': How')}\n    {answer.raised}")
        found = is_bytes(answer.value, call)
        wanted = [16 + size, 16 + size + -size % 4]
        equal([struct.unpack_from("=I", found)[0], len(found)], wanted, f"{about} The length, and all bytes")


def test_6_2_what_does_not_fit_is_an_error(yours: Yours) -> None:
    about = "Which number has how many bits, and what would the kernel be asked for in its place?"
    for args in ((1 << 16, 0, 1, b""), (16, 1 << 16, 1, b""), (16, 0, 1 << 32, b""), (16, 0, -1, b"")):
        yours.raises(struct.error, *args, about=about)


def test_6_2_the_kernel_answers_each_message_of_a_packet(yours: Yours) -> None:
    """Of several messages in one packet the kernel finds the next only if each ends where it should."""
    requests = []
    for number, name in enumerate(("a", "ab", "abc", "lo", "abcd"), 5):
        body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + netlink.nest(18, netlink.text(1, "bridge"))
        body += struct.pack("=HH", 4 + len(name) + 1, 3) + name.encode() + b"\0"  # without zero bytes behind it
        requests.append((16, netlink.ACK | netlink.CREATE | netlink.EXCL, number, body))
    with yours.at(NET) as function:
        found = function.scene("in_one_packet", requests)
        wanted = [[number, errno.EEXIST if number == 8 else 0] for number in range(5, 10)]
        expect(
            found == wanted,
            "five messages in one packet ask for the bridges a, ab, abc, lo (which is there) and abcd. The kernel "
            f"should answer each, by its serial number\n    {answers(wanted)}\nIt answers\n    {answers(found)}\n"
            "Where does it look for the next message?",
        )
        made = set(inside(function.process.pid, links))
    equal(sorted(made & {"a", "ab", "abc", "abcd"}), ["a", "ab", "abc", "abcd"], "the bridges that were made")


def answers(found: list[list[int]]) -> str:
    return ", ".join(f"{serial}: {errno_name(code) if code else 'done'}" for serial, code in found) or "nothing"


def test_6_2_the_engine_asks_the_kernel_by_it(pyctr: Any) -> None:
    said = pyctr("run", "--rm", "-p", "80", "busybox", "cat", "/sys/class/net/eth0/flags").stdout.strip()
    equal(said, "0x1003", "the flags of a container's eth0: up (0x1), broadcast (0x2) and multicast (0x1000)")


# --- 6.3 -------------------------------------------------------------------------------------------------

MAC = "02:42:0a:01:00:02"


class Cable:
    """Two namespaces: `near`, with the learner's function and a bridge, and `far`, where the other end belongs."""

    def __init__(self, near: Function, far: Process) -> None:
        self.near, self.far = near, far
        self.bridge: int = inside(near.process.pid, partial(add_bridge, "pc-lab"))
        self.before = set(self.links(far))

    def links(self, where: Process | None = None) -> dict[str, link.Link]:
        found: dict[str, link.Link] = inside((where or self.near.process).pid, links)
        return found

    def answer(self, name: str = "veth1", peer: str = "eth0", mac: str = MAC, **more: Any) -> Answer:
        """Call add_veth with these, with this bridge and the far process if no other is given."""
        bridge, pid = more.pop("bridge", self.bridge), more.pop("pid", self.far.inner)
        return self.near.answer((netlink.ROUTE, name, bridge, pid, peer, mac), more, scene="by_netlink")

    def lay(self, name: str = "veth1", peer: str = "eth0", mac: str = MAC, **more: Any) -> None:
        """The same; it has to work."""
        answer = self.answer(name, peer, mac, **more)
        call = f"add_veth(sock, {name!r}, {self.bridge}, <pid>, {peer!r}, {mac!r})"
        expect(
            answer.raised is None,
            f"{call} fails\n    {answer.raised}\n{why_refused(answer)}",
        )
        equal(answer.value, None, f"what {call} returns")


def why_refused(answer: Answer) -> str:
    """A question that fits the kernel's error."""
    questions = {
        errno.ENOTCONN: "An end cannot be up before there is another one: which of the two ends gets the flag?",
        errno.EOPNOTSUPP: "Which attribute says what kind of link it is, and which one has the other end in it?",
        errno.EADDRNOTAVAIL: "That is no MAC address: what should be in the message if none is given?",
    }
    number = answer.raised.errno if answer.raised else None
    return questions.get(number or 0, "What does the kernel not understand, or where does it look for it?")


@contextlib.contextmanager
def cable(yours: Yours, arena: Arena) -> Iterator[Cable]:
    with yours.at(NET) as near, holder(arena) as far:
        yield Cable(near, far)


def test_6_3_both_ends_are_where_they_belong(yours: Yours, arena: Arena) -> None:
    with cable(yours, arena) as at:
        at.lay()
        near, far = at.links(), at.links(at.far)
        expect(
            "veth1" in near,
            f"add_veth(sock, 'veth1', …): in the caller's namespace there are {', '.join(near)}, and no veth1. "
            "Whose namespace is NET_NS_PID written for?",
        )
        expect(
            "eth0" not in near,
            "the other end, eth0, is in the caller's own namespace, beside veth1. Which attribute says in whose "
            "namespace it is born, and of which of the two ends is it?",
        )
        expect(
            "eth0" in far,
            f"in the namespace of the process there are {', '.join(far)}, and no eth0. Where is the other end, "
            "and what is it called there?",
        )
        equal(sorted(set(near) - {"lo", "pc-lab"}), ["veth1"], "the links that are new in the caller's namespace")
        equal(sorted(set(far) - at.before), ["eth0"], "the links that are new in the process's namespace")


def test_6_3_the_near_end_is_up_and_a_port_of_the_bridge(yours: Yours, arena: Arena) -> None:
    with cable(yours, arena) as at:
        other = inside(at.near.process.pid, partial(add_bridge, "pc-other"))
        for name, bridge in (("veth1", at.bridge), ("veth2", other)):
            at.lay(name, f"eth{name[-1]}", bridge=bridge)
            made = at.links()[name]
            equal(
                made.master,
                bridge,
                f"the master of the end at the bridge {bridge}: by which attribute is it a port?",
            )
            expect(
                made.up, "the end at the bridge is down: nothing passes. Which bits of struct ifinfomsg say so?"
            )
            far = at.links(at.far)[f"eth{name[-1]}"]
            equal(far.master, 0, "the master of the other end: whose namespace is the bridge in?")
            expect(
                not far.up, "the other end is up before it has an address: which of the two ends gets the flag?"
            )


def test_6_3_address_and_mtu_are_those_asked_for(yours: Yours, arena: Arena) -> None:
    with cable(yours, arena) as at:
        for number, mtu in enumerate((1500, 1400, 9000, 68), 1):
            mac, more = f"02:42:0a:01:ff:0{number}", {} if mtu == 1500 else {"mtu": mtu}
            at.lay(f"veth{number}", f"eth{number}", mac, **more)
            near, far = at.links()[f"veth{number}"], at.links(at.far)[f"eth{number}"]
            expect(
                near.mac != mac,
                f"the MAC address {mac} is that of the end at the bridge: whose should it be? A container's "
                "address is found by it.",
            )
            equal(far.mac, mac, "the MAC address of the other end")
            equal(near.mtu, mtu, f"the MTU of the end at the bridge, of {mtu} asked for")
            equal(
                far.mtu,
                mtu,
                f"the MTU of the other end, of {mtu} asked for: a packet is as long as both let it be",
            )


def test_6_3_without_a_mac_the_kernel_chooses_one(yours: Yours, arena: Arena) -> None:
    with cable(yours, arena) as at:
        at.lay(mac="")
        found = at.links(at.far)["eth0"]
        expect(
            int(found.mac.replace(":", "") or "0", 16),
            f"add_veth with a mac of '' gives the other end the MAC address {found.mac!r}: what should be in the "
            "message if there is none?",
        )


def test_6_3_packets_pass(yours: Yours, arena: Arena) -> None:
    def address(name: str, text: str) -> None:
        with netlink.Socket() as sock:
            number = link.index(sock, name)
            link.add_address(sock, number, text, 24)
            link.set_up(sock, number)

    with cable(yours, arena) as at:
        at.lay()
        inside(at.near.process.pid, partial(address, "pc-lab", "10.99.0.1"))
        inside(at.far.pid, partial(address, "eth0", "10.99.0.2"))
        with inside(at.far.pid, partial(listening, "10.99.0.2", 8000)) as listener:
            seen = connected(at.near.process.pid, "10.99.0.2", 8000, listener)
    equal(seen, "10.99.0.1", "who has connected to the other end, through the bridge ('' is nobody)")


def test_6_3_the_other_end_is_never_here(yours: Yours, arena: Arena) -> None:
    """An end that is made here and then moved is seen by everybody here, and its name may be taken."""
    with cable(yours, arena) as at:
        inside(at.near.process.pid, partial(add_bridge, "eth0"))
        with inside(at.near.process.pid, link_events) as events:
            answer = at.answer()
            expect(
                answer.raised is None,
                "the caller's namespace has a link eth0 of its own, which is no business of the other "
                f"namespace's, and add_veth fails\n    {answer.raised}\nIn which namespace is your other end "
                "born?",
            )
            seen = sorted(set(names_of(events)) - {"veth1", "pc-lab"})
        expect(
            not seen,
            f"while add_veth works, the caller's namespace sees a link {', '.join(seen)} come and go: who sees it "
            "is anybody who listens there, and a kill leaves it. Can one request say where the other end is born?",
        )
        at.lay("veth2", "veth2")


def link_events() -> socket.socket:
    """A socket that hears of every link that is new, changed or gone."""
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink.ROUTE)
    events.bind((0, 1))
    events.setblocking(False)
    return events


def names_of(events: socket.socket) -> Iterator[str]:
    with contextlib.suppress(BlockingIOError):
        while True:
            given = netlink.attributes(events.recv(1 << 16)[32:])
            yield given[3].rstrip(b"\0").decode()


def test_6_3_a_taken_name_is_an_error_and_changes_nothing(yours: Yours, arena: Arena) -> None:
    with cable(yours, arena) as at:
        at.lay("veth1", "eth0")
        inside(at.near.process.pid, partial(add_bridge, "taken", 1300))
        before = described(at)
        for name, peer, whose in (
            ("taken", "eth1", "by a bridge, in the caller's namespace"),
            ("veth1", "eth1", "in the caller's namespace"),
            ("veth2", "eth0", "in the other namespace"),
            ("veth2", "lo", "in the other namespace"),
        ):
            answer = at.answer(name, peer, "02:42:0a:01:00:77", mtu=1200)
            about = f"{name if 'caller' in whose else peer} is taken {whose}. Which flag says that it must be new?"
            yours.refused(answer, FileExistsError, about, errno.EEXIST)
            unchanged(at, before, f"add_veth(sock, {name!r}, …, {peer!r}, …) fails with EEXIST")


def described(at: Cable) -> list[list[Any]]:
    return [
        [where, each.name, each.mac, each.mtu, each.master, each.up]
        for where, process in (("here", at.near.process), ("there", at.far))
        for each in at.links(process).values()
    ]


def unchanged(at: Cable, before: list[list[Any]], when: str) -> None:
    after = described(at)
    new = [line[:2] for line in after if line not in before]
    gone = [line[:2] for line in before if line not in after]
    expect(
        not new and not gone,
        f"{when}, and yet links have changed: {', '.join(f'{name} {where}' for where, name in new + gone)}. "
        "Who undoes the first step if the second one fails, and how many steps are needed?",
    )


def test_6_3_what_the_kernel_refuses_is_raised(yours: Yours, arena: Arena) -> None:
    with cable(yours, arena) as at:
        before = described(at)
        for more, number, about in (
            ({"bridge": 4711}, errno.EINVAL, "There is no bridge with this index: who would carry the packets?"),
            ({"pid": 4_000_000}, errno.ESRCH, "There is no such process: whose namespace is meant?"),
            ({"name": "n" * 16}, None, "A name has 15 characters at most, and the kernel says so."),
            ({"peer": "n" * 16}, None, "A name has 15 characters at most, and the kernel says so."),
            ({"mtu": 1 << 20}, None, "The kernel has no such MTU, and says so."),
        ):
            answer = at.answer(**{"name": "veth1", **more})  # type: ignore[arg-type]
            yours.refused(answer, OSError, about, number or 0)
            unchanged(at, before, f"add_veth with {more} fails")


def test_6_3_the_error_says_what_was_asked(yours: Yours, arena: Arena) -> None:
    with cable(yours, arena) as at:
        at.lay()
        raised = yours.refused(at.answer(), FileExistsError, "veth1 is taken.", errno.EEXIST)
        for word in ("ip", "link", "add", "veth1", str(at.bridge), "eth0", MAC, str(at.far.inner)):
            expect(
                word in raised.text.replace(": ", " ").split(),
                f"the second add_veth of the same names raises\n    {raised.text}\nin which {word!r} is not a "
                "word. What is the first argument of sock.request for?",
            )


def test_6_3_a_container_reaches_its_gateway(pyctr: Any) -> None:
    script = "set -- $(ip route show default); ping -c 1 -W 2 $3 >/dev/null && cat /sys/class/net/eth0/mtu"
    said = pyctr("run", "--rm", "busybox", "sh", "-c", script)
    equal(said.stdout, "1500\n", "the MTU of a container's eth0, after its gateway has answered")


# --- 6.4 -------------------------------------------------------------------------------------------------


def pool_of(directory: Path, subnet: str, excluded: tuple[str, ...] = (), within: str = "") -> Addresses:
    return Addresses(str(directory), Subnet(subnet), Subnet(within) if within else None, excluded)


def shown_pool(pool: Addresses) -> str:
    parts = [f"the subnet {pool.subnet}"]
    if pool.within is not pool.subnet:
        parts.append(f"within {pool.within}")
    if pool.excluded:
        parts.append(
            "without " + ", ".join(socket.inet_ntop(pool.subnet.family, packed(pool, n)) for n in pool.excluded)
        )
    return " ".join(parts)


def packed(pool: Addresses, number: int) -> bytes:
    return number.to_bytes(4 if pool.subnet.family == socket.AF_INET else 16)


def taken(
    yours: Function, pool: Addresses, owner: str = "c1", wanted: str = "", about: str = "Which could be given?"
) -> Any:
    """What take returns; it has to work, and to give an address that a container may have."""
    answer = yours.answer((pool, owner, wanted) if wanted else (pool, owner))
    asked = f"take(…, {owner!r}, {wanted!r})" if wanted else f"take(…, {owner!r})"
    expect(answer.raised is None, f"{asked} of {shown_pool(pool)} fails\n    {answer.raised}\n{about}")
    found = answer.value
    expect(
        found, f"{asked} of {shown_pool(pool)} returns {found!r}: how does the caller know which address it is?"
    )
    for number, whose in reserved(pool):
        expect(
            found != socket.inet_ntop(pool.subnet.family, packed(pool, number)),
            f"{asked} of {shown_pool(pool)} gives {found}, {whose}: who gets what is sent to it?",
        )
    return found


def reserved(pool: Addresses) -> list[tuple[int, str]]:
    """The numbers that no container may have, and whose they are."""
    found = [(number, "which is excluded: it is the gateway's or another's") for number in pool.excluded]
    if pool.subnet.size > 2:
        found.append((pool.subnet.first, "the network's own address"))
        if pool.subnet.family == socket.AF_INET:
            found.append((pool.subnet.first + pool.subnet.size - 1, "the broadcast address"))
    return found


def files(pool: Addresses) -> dict[str, str]:
    """The files of the addresses and their texts, and all else that is there."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(pool.directory):
            with contextlib.suppress(FileNotFoundError), open(f"{pool.directory}/{name}") as file:
                found[name] = file.read()
    return found


def test_6_4_the_lowest_that_is_free_is_given(yours: Yours, tmp_path: Path) -> None:
    for index, (subnet, excluded, wanted) in enumerate(
        (
            ("10.1.0.0/24", ("10.1.0.1",), ["10.1.0.2", "10.1.0.3", "10.1.0.4"]),
            ("10.1.255.0/23", ("10.1.254.1", "10.1.254.3"), ["10.1.254.2", "10.1.254.4", "10.1.254.5"]),
            ("10.1.0.0/24", (), ["10.1.0.1", "10.1.0.2"]),
            ("fd00:1::/64", ("fd00:1::1",), ["fd00:1::2", "fd00:1::3"]),
        )
    ):
        pool = pool_of(tmp_path / str(index) / "made", subnet, excluded)
        for number, address in enumerate(wanted):
            found = taken(yours, pool, f"c{number}")
            equal(found, address, f"address {number + 1} that is taken of {shown_pool(pool)}")
        equal(
            files(pool),
            {address: f"c{number}" for number, address in enumerate(wanted)},
            "the files in the directory, and their texts: one for each address, and nothing else",
        )
        os.unlink(f"{pool.directory}/{wanted[0]}")
        equal(taken(yours, pool), wanted[0], "the next address after the first one was given back")


def test_6_4_any_text_may_be_an_owner(yours: Yours, tmp_path: Path) -> None:
    for number, owner in enumerate((" c 1\n", "ü", "c" * 10000, "0")):
        pool = pool_of(tmp_path / str(number), "10.1.0.0/24")
        taken(yours, pool, owner)
        text = files(pool).get("10.1.0.1")
        equal(text, owner, f"the text of an address whose owner is {owner[:20]!r}: who looks for it there?")


def test_6_4_nobody_else_may_write_into_the_directory(yours: Yours, tmp_path: Path) -> None:
    pool = pool_of(tmp_path / "missing", "10.1.0.0/24")
    with yours.at(umask=0) as function:
        taken(function, pool)
    mode = oct(stat.S_IMODE(os.stat(pool.directory).st_mode))
    equal(
        mode,
        "0o755",
        "the mode of the directory, which was missing, with a umask of 0: who may take addresses away?",
    )


def test_6_4_network_and_broadcast_are_not_for_hosts(yours: Yours, tmp_path: Path) -> None:
    for index, (subnet, excluded, wanted) in enumerate(
        (
            ("10.1.0.0/29", ("10.1.0.1",), [f"10.1.0.{number}" for number in range(2, 7)]),
            ("10.1.0.8/30", (), ["10.1.0.9", "10.1.0.10"]),
            ("10.1.0.8/31", (), ["10.1.0.8", "10.1.0.9"]),
            ("10.1.0.8/32", (), ["10.1.0.8"]),
            ("10.1.0.8/30", ("10.1.0.9", "10.1.0.10"), []),
            ("fd00::/126", (), ["fd00::1", "fd00::2", "fd00::3"]),
        )
    ):
        pool = pool_of(tmp_path / str(index), subnet, excluded)
        given = [taken(yours, pool, f"c{number}") for number in range(len(wanted))]
        equal(given, wanted, f"all addresses of {shown_pool(pool)}, in order")
        before = files(pool)
        about = f"All {len(wanted)} addresses of {shown_pool(pool)} are taken. Which may no host have?"
        raised = yours.raises(Conflict, pool, "late", about=about)
        expect(
            f"no available addresses in the subnet {subnet}" in raised.text,
            f"if all is taken, the message is\n    {raised.text}\nDocker's is\n    no available addresses in the "
            f"subnet {subnet}",
        )
        expect(
            files(pool) == before,
            f"take has failed, as it should, and the directory has {sorted(set(files(pool)) - set(before))} more: "
            "who removes what is made on the way?",
        )


def test_6_4_only_addresses_within_the_range_are_chosen(yours: Yours, tmp_path: Path) -> None:
    for index, (subnet, within, excluded, wanted) in enumerate(
        (
            ("10.1.0.0/16", "10.1.5.0/30", (), ["10.1.5.0", "10.1.5.1", "10.1.5.2", "10.1.5.3"]),
            ("10.1.0.0/24", "10.1.0.252/30", ("10.1.0.253",), ["10.1.0.252", "10.1.0.254"]),
            ("10.1.0.0/24", "10.1.0.0/30", ("10.1.0.1",), ["10.1.0.2", "10.1.0.3"]),
            ("fd00::/64", "fd00::8:0/127", (), ["fd00::8:0", "fd00::8:1"]),
        )
    ):
        pool = pool_of(tmp_path / str(index), subnet, excluded, within)
        about = "The subnet says what a host may have, `within` what is chosen of that: are those two questions?"
        given = [taken(yours, pool, f"c{number}", about=about) for number in range(len(wanted))]
        equal(given, wanted, f"all addresses of {shown_pool(pool)}. {about}")
        yours.raises(Conflict, pool, "late", about=f"All addresses of {shown_pool(pool)} are taken.")


def test_6_4_an_address_that_is_wanted(yours: Yours, tmp_path: Path) -> None:
    pool = pool_of(tmp_path / "a", "10.1.0.0/24", ("10.1.0.1",), "10.1.0.128/25")
    equal(taken(yours, pool, "c1", "10.1.0.7"), "10.1.0.7", "take(…, 'c1', '10.1.0.7'), outside of `within`")
    equal(taken(yours, pool, "c2", "10.1.0.254"), "10.1.0.254", "take(…, 'c2', '10.1.0.254')")
    equal(files(pool), {"10.1.0.7": "c1", "10.1.0.254": "c2"}, "the files and their texts")
    six = pool_of(tmp_path / "b", "fd00::/64")
    equal(
        taken(yours, six, "c1", "FD00:0::0:5"),
        "fd00::5",
        "take(…, 'c1', 'FD00:0::0:5'): the address, as it is written",
    )
    equal(files(six), {"fd00::5": "c1"}, "the file of FD00:0::0:5: one address must not have two names")
    yours.raises(Conflict, six, "c2", "fd00::5", about="It is taken, under another spelling.")
    before = files(pool)
    yours.raises(Conflict, pool, "c1", "10.1.0.7", about="It is taken, if by the same owner: it is not free.")
    for wanted, why in (
        ("10.1.0.7", "it is taken by another container"),
        ("10.1.0.1", "it is the gateway's"),
        ("10.1.0.0", "it is the network's own address"),
        ("10.1.0.255", "it is the broadcast address"),
    ):
        raised = yours.raises(Conflict, pool, "c3", wanted, about=f"{wanted} is not free: {why}.")
        expect(
            "Address already in use" in raised.text,
            f"take(…, 'c3', {wanted!r}) raises a Conflict with the text\n    {raised.text}\nDocker says: Address "
            "already in use",
        )
    for wanted, why in (("10.1.1.7", "is not in the subnet"), ("fd00::1", "is IPv6"), ("10.1.0", "is no address")):
        yours.raises(InvalidArgument, pool, "c3", wanted, about=f"{wanted} {why}. Which function notices that?")
    equal(files(pool), before, "the files after all of these were refused")
    missing = pool_of(tmp_path / "c", "10.1.0.0/24")
    yours.raises(InvalidArgument, missing, "c3", "10.9.9.9", about="10.9.9.9 is not in the subnet.")


def test_6_4_whoever_is_quicker_has_it(yours: Yours, tmp_path: Path) -> None:
    """Another container takes the address between any two steps."""
    for index, wanted in enumerate(("", "10.1.0.2")):
        pool = pool_of(tmp_path / str(index), "10.1.0.0/24", ("10.1.0.1",))
        others = {f"10.1.0.{number}": f"other{number}" for number in range(2, 5)}

        def quicker(call: Call, pool: Addresses = pool, others: dict[str, str] = others) -> None:
            name = call.paths[-1].rpartition("/")[2] if call.paths else ""
            if name in others:
                with open(f"{pool.directory}/{name}", "x") as file:
                    file.write(others.pop(name))

        os.mkdir(pool.directory)
        expected = dict(others)
        with yours.at() as function:
            watch = Watch(FILES, before=partial(suppressed, quicker))
            answer = function.answer((pool, "mine", wanted), watch=watch)
        found = files(pool)
        for address in set(expected) - set(others):
            equal(
                found.get(address),
                expected[address],
                f"the owner of {address}, which another container took at the very moment in which yours wanted "
                "to. Does the kernel decide who is first, or does your own look?",
            )
        if wanted:
            yours.refused(answer, Conflict, f"Another container took {wanted} between your look and your write.")
        else:
            expect(
                answer.raised is None,
                f"another container was quicker with 10.1.0.2, and take fails\n    {answer.raised}\nThe next one "
                "is free: what does it do then?",
            )
            expect(
                answer.value not in expected or answer.value in others,
                f"{answer.value} was taken by another container a moment before, and take gives it once more",
            )


def suppressed(function: Callable[[Call], None], call: Call) -> None:
    with contextlib.suppress(FileExistsError):
        function(call)


def test_6_4_many_at_once_get_one_each(yours: Yours, tmp_path: Path) -> None:
    pool = pool_of(tmp_path / "a", "10.1.0.0/24", ("10.1.0.1",))
    with contextlib.ExitStack() as stack:
        functions = [stack.enter_context(yours.at()) for _ in range(4)]
        given = []
        for round in range(12):
            calls = [function.begin(pool, f"c{round}-{number}") for number, function in enumerate(functions)]
            given += [(call.answer(), f"c{round}-{number}") for number, call in enumerate(calls)]
    for answer, owner in given:
        expect(
            answer.raised is None, f"four processes take addresses at once, and {owner} gets\n    {answer.raised}"
        )
    addresses = [answer.value for answer, _ in given]
    expect(
        len(set(addresses)) == len(addresses),
        f"four processes have taken {len(addresses)} addresses at once, and {len(set(addresses))} different ones "
        "were given: who looks, and who decides?",
    )
    equal(files(pool), {answer.value: owner for answer, owner in given}, "the files and their owners afterwards")


STEPS = (*FILES, *WRITES, "close")


def test_6_4_an_address_is_never_seen_without_its_owner(yours: Yours, tmp_path: Path) -> None:
    """Looked at in each step: what is there is what a kill would leave, too."""
    for index, wanted in enumerate(("", "10.1.0.9")):
        pool = pool_of(tmp_path / str(index), "10.1.0.0/24", ("10.1.0.1",))
        seen: list[tuple[str, dict[str, str]]] = []

        def look(call: Call, pool: Addresses = pool, seen: list[Any] = seen) -> None:
            beside = {name: "" for name in os.listdir(tmp_path) if name not in ("0", "1")}
            seen.append((call.name, files(pool) | beside))

        with yours.at() as function:
            answer = function.answer((pool, "mine", wanted), watch=Watch(STEPS, before=look))
        expect(answer.raised is None, f"take fails while it is watched\n    {answer.raised}")
        seen.append(("the end", files(pool)))
        for name, there in seen:
            for file, text in there.items():
                expect(
                    file.startswith(".") or text == "mine",
                    f"before {name} of your function the file {file} is there with the text {text!r}, and its "
                    "owner is 'mine'. What would somebody make of it who reads it now, or if you are killed now?",
                )


def test_6_4_nothing_of_a_killed_process_is_in_the_way(yours: Yours, tmp_path: Path) -> None:
    """Names that a killed process may have left, made of its pid: they lead to the address of a third one."""
    pool = pool_of(tmp_path / "a", "10.1.0.0/24", ("10.1.0.1",))
    os.mkdir(pool.directory)
    with open(f"{pool.directory}/10.1.0.2", "w") as file:
        file.write("other")
    with yours.at() as function:
        pid = function.process.inner
        left = [form.format(pid) for form in (".{}", ".{}.tmp", ".tmp{}", ".tmp-{}", ".tmp.{}", ".tmp_{}")]
        left += [".tmp", ".temp", ".temporary", ".new", ".lock", ".mine", ".10.1.0.3"]
        for name in left:
            os.link(f"{pool.directory}/10.1.0.2", f"{pool.directory}/{name}")
        answer = function.answer((pool, "mine"))
    expect(
        answer.raised is None,
        f"a killed process has left a file that is not an address's, and take fails\n    {answer.raised}\nHow "
        "long will it fail, if nobody removes the file?",
    )
    equal(answer.value, "10.1.0.3", "the address that is given, beside files whose names begin with a dot")
    equal(
        files(pool).get("10.1.0.2"),
        "other",
        "the owner of 10.1.0.2: a process was killed between link(2) and the removal of its own file, both are "
        "one inode, and your process has the killed one's pid. Whose file does open(…, 'w') truncate?",
    )
    equal(files(pool).get("10.1.0.3"), "mine", "the owner of 10.1.0.3")


def test_6_4_other_files_are_no_addresses(yours: Yours, tmp_path: Path) -> None:
    pool = pool_of(tmp_path / "a", "10.1.0.0/24", ("10.1.0.1",))
    os.mkdir(pool.directory)
    for name in ("fd00::2", "fd00::3", "10.1.0.4", ".hidden"):
        with open(f"{pool.directory}/{name}", "w") as file:
            file.write("other")
    before = files(pool)
    equal(
        [taken(yours, pool, "mine") for _ in range(3)],
        ["10.1.0.2", "10.1.0.3", "10.1.0.5"],
        "three addresses, beside those of another subnet of the network, and one that is taken",
    )
    equal({name: files(pool).get(name) for name in before}, before, "the files of others")


def test_6_4_what_the_kernel_refuses_is_raised_and_nothing_is_left(yours: Yours, tmp_path: Path) -> None:
    for number, nth, name in [
        (number, nth, name)
        for number in (errno.ENOSPC, errno.EIO, errno.EACCES)
        for name in ("openat", "open", "write", "link", "linkat", "mkdir", "rename", "renameat2")
        for nth in (1, 2)
    ]:
        pool = pool_of(tmp_path / f"{number}-{nth}-{name}", "10.1.0.0/24", ("10.1.0.1",))
        fault = Fault(name, number, nth)
        with yours.at() as function:
            watch = Watch(STEPS, (fault,))
            answer = function.answer((pool, "mine"), watch=watch)
        if sum(call.name == name for call in watch.seen) < nth:
            continue
        about = (
            f"The kernel refused {name} with {errno_name(number)}: whoever starts the container has to hear of it."
        )
        yours.refused(answer, OSError, about, number)
        expect(
            not files(pool),
            f"the kernel refused {name} with {errno_name(number)}, and there is still {', '.join(files(pool))}: "
            "who removes it if a step fails?",
        )


def test_6_4_each_container_has_an_address_of_its_own(pyctr: Any) -> None:
    def address(name: str) -> str:
        line = pyctr("exec", name, "ip", "-o", "-4", "address", "show", "eth0").stdout
        return str(line.split()[3].rpartition("/")[0])

    for name in ("one", "two"):
        pyctr("run", "-d", "--name", name, "busybox", "sleep", "100")
    network = address("one").rpartition(".")[0]
    found = [address("one"), address("two")]
    equal(found, [f"{network}.2", f"{network}.3"], "the addresses of the first two containers on a bridge")
    pyctr("rm", "-f", "one")
    pyctr("run", "-d", "--name", "three", "busybox", "sleep", "100")
    equal(address("three"), f"{network}.2", "the third container's, after the first one has ended")


# --- 6.5 -------------------------------------------------------------------------------------------------

MAPS = ("ports4", "any4", "ports6", "any6")


def table() -> dict[str, list[tuple[str, str]]]:
    """The elements of the four maps, key and value as hexadecimal numbers."""
    with netlink.Socket(netlink.NETFILTER) as sock:
        return {
            name: sorted((hex_of(key), hex_of(value)) for key, value in nft.elements(sock, rules.TABLE, name))
            for name in MAPS
        }


def ensure_table() -> None:
    with netlink.Socket(netlink.NETFILTER) as sock:
        rules.ensure(sock)


@contextlib.contextmanager
def host(yours: Yours) -> Iterator[Function]:
    """The function in a namespace that has the table."""
    with yours.at(NET) as function:
        inside(function.process.pid, ensure_table)
        yield function


def published(function: Function, *args: Any) -> Answer:
    return function.answer((netlink.NETFILTER, *args), scene="by_netlink")


def shown_publish(args: tuple[Any, ...]) -> str:
    return f"publish(sock, {', '.join(map(repr, args))})"


def element(protocol: str, host: str, port: int, address: str, container_port: int) -> tuple[str, str, str]:
    """The map, key and value that are right, field by field."""
    everywhere = host in ("0.0.0.0", "::")
    name = ("any" if everywhere else "ports") + ("6" if ":" in host else "4")
    key = bytes([{"tcp": 6, "udp": 17, "sctp": 132}[protocol], 0, 0, 0])
    key += b"" if everywhere else bytes_of(host)
    value = bytes_of(address) + container_port.to_bytes(2) + bytes(2)
    return name, hex_of(key + port.to_bytes(2) + bytes(2)), hex_of(value)


def bytes_of(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


PUBLISHED = (
    ("tcp", "0.0.0.0", 8080, "10.1.0.2", 80),
    ("tcp", "127.0.0.1", 8080, "10.1.0.2", 80),
    ("tcp", "192.0.2.1", 1, "10.1.0.3", 256),
    ("udp", "0.0.0.0", 8080, "10.1.0.4", 53),
    ("udp", "192.0.2.1", 65535, "172.17.0.2", 65535),
    ("sctp", "0.0.0.0", 5000, "10.1.0.2", 5001),
    ("tcp", "::", 8080, "fd00::2", 80),
    ("tcp", "2001:db8::1", 443, "fd00::3", 8443),
    ("udp", "::1", 53, "fd00::2", 5353),
)


def test_6_5_one_element_stands_for_a_port(yours: Yours) -> None:
    for args in PUBLISHED:
        with host(yours) as function:
            answer = published(function, *args)
            call = shown_publish(args)
            expect(
                answer.raised is None,
                f"{call} fails\n    {answer.raised}\nHow many bytes do key and value have, and how many does the "
                f"map take? {' → '.join(element(*args)[1:])} are right.",
            )
            equal(answer.value, None, f"what {call} returns")
            judge(inside(function.process.pid, table), [args], call)


def judge(found: dict[str, list[tuple[str, str]]], wanted: list[tuple[Any, ...]], call: str) -> None:
    """Fail the check unless the maps have these elements and no others, with a question that fits."""
    right: dict[str, list[tuple[str, str]]] = {name: [] for name in MAPS}
    for args in wanted:
        name, key, value = element(*args)
        right[name].append((key, value))
    for name in MAPS:
        right[name].sort()
    if found == right:
        return
    there = {name: elements for name, elements in found.items() if elements}
    expect(there, f"{call} returns, and no map has an element: who hands the request to the kernel?")
    name, key, value = element(*wanted[-1])
    expect(
        len(found[name]) == len(right[name]),
        f"{call} should make an element of the map {name}; there are {counted(found)}. How does the host's "
        "address decide, and what are 0.0.0.0 and ::?",
    )
    mine = next((each for each in found[name] if each not in right[name]), None)
    expect(mine, f"after {call} the maps have {counted(found)}, and {counted(right)} were asked for")
    assert mine is not None
    swapped = [part for part in (key, value) if part not in mine and swapped_port(part) in mine]
    expect(
        not swapped,
        f"{call}: the element of {name}\n    yours gives  {' → '.join(mine)}\n    wanted is    {key} → {value}\n"
        "A port has its bytes the wrong way round: which one comes first in a packet?",
    )
    equal(
        " → ".join(mine),
        f"{key} → {value}",
        f"{call}: key and value of the element of {name}. Which field is wrong?",
    )


def swapped_port(text: str) -> str:
    """A key or value whose port, the last field, has its two bytes swapped."""
    data = bytes.fromhex(text)
    return hex_of(data[:-4] + data[-3:-2] + data[-4:-3] + data[-2:])


def counted(found: dict[str, list[tuple[str, str]]]) -> str:
    return ", ".join(f"{len(elements)} in {name}" for name, elements in found.items() if elements) or "none"


def test_6_5_all_of_them_stand_side_by_side(yours: Yours) -> None:
    with host(yours) as function:
        for number, args in enumerate(PUBLISHED, 1):
            answer = published(function, *args)
            expect(answer.raised is None, f"{shown_publish(args)}, after others, fails\n    {answer.raised}")
            judge(
                inside(function.process.pid, table),
                list(PUBLISHED[:number]),
                f"{shown_publish(args)}, after others,",
            )


def test_6_5_a_taken_port_is_an_error_and_stays_as_it_is(yours: Yours) -> None:
    with host(yours) as function:
        for args in PUBLISHED:
            published(function, *args)
        for protocol, where, port, address, container_port in PUBLISHED:
            other = "fd00::99" if ":" in address else "10.1.0.99"
            for target in ((other, container_port), (address, 4711), (other, 4711)):
                args = (protocol, where, port, *target)
                about = (
                    f"The port is published, for {address}, port {container_port}: what becomes of the first "
                    "container, and who tells the second one?"
                )
                yours.refused(published(function, *args), FileExistsError, about, errno.EEXIST)
            judge(
                inside(function.process.pid, table), list(PUBLISHED), "a port that is published twice: afterwards"
            )


def test_6_5_the_error_says_what_was_asked(yours: Yours) -> None:
    with host(yours) as function:
        for args in PUBLISHED[:3] + PUBLISHED[6:]:
            published(function, *args)
            raised = yours.refused(published(function, *args), FileExistsError, "It is published.", errno.EEXIST)
            protocol, where, port, address, container_port = args
            key = f"{protocol} . {port}" if where in ("0.0.0.0", "::") else f"{protocol} . {where} . {port}"
            expect(
                f"{{ {key} : {address} . {container_port} }}" in raised.text,
                f"{shown_publish(args)}, for the second time, raises\n    {raised.text}\nand should name the "
                f"element as nft writes it:\n    {{ {key} : {address} . {container_port} }}\nWhat is the text in "
                "a request for?",
            )


def test_6_5_withdraw_finds_it(yours: Yours) -> None:
    def withdraw(args: tuple[Any, ...]) -> None:
        with netlink.Socket(netlink.NETFILTER) as sock:
            rules.withdraw(sock, *args[:3])

    with host(yours) as function:
        for args in PUBLISHED:
            published(function, *args)
        for args in PUBLISHED:
            inside(function.process.pid, partial(withdraw, args))
        found = inside(function.process.pid, table)
    expect(
        not any(found.values()),
        f"after withdraw of each port there are {counted(found)} elements left: what is their key?",
    )


def test_6_5_what_the_kernel_refuses_is_raised(yours: Yours) -> None:
    with yours.at(NET) as function:
        answer = published(function, "tcp", "0.0.0.0", 80, "10.1.0.2", 80)
        yours.refused(answer, FileNotFoundError, "There is no table: nothing was published.", errno.ENOENT)
    with host(yours) as function:
        answer = published(function, "tcp", "0.0.0.0", 80, "fd00::2", 80)
        yours.refused(answer, OSError, "An address of IPv6 is no value of a map of IPv4, and the kernel says so.")
        yours.refused(published(function, "tcp", "10.1", 80, "10.1.0.2", 80), ValueError, "10.1 is no address.")
        yours.refused(published(function, "tcp", "0.0.0.0", 80, "10.2", 80), ValueError, "10.2 is no address.")
        for protocol, port, container_port in (
            *(("icmp", 80, 80), ("TCP", 80, 80), ("tcp ", 80, 80), ("", 80, 80)),
            *(("tcp", 65616, 80), ("tcp", 80, 65616), ("tcp", -1, 80), ("tcp", 80, -1)),
        ):
            call = ("0.0.0.0", port, "10.1.0.2", container_port)
            about = "There is no such protocol, or no such port: what would be published in its place?"
            yours.refused(
                published(function, protocol, *call), Exception, about, call=shown_publish((protocol, *call))
            )
        found = inside(function.process.pid, table)
    expect(not any(found.values()), f"publish was refused, and there are {counted(found)} elements")


def test_6_5_the_world_reaches_the_container(yours: Yours, arena: Arena) -> None:
    """Packets: from another machine, and from this one, to a container's server."""
    with host(yours) as function, holder(arena) as world, holder(arena) as container:
        inside(function.process.pid, partial(wire, world, container))
        for process, address, gateway in ((world, "192.0.2.2", ""), (container, "10.1.0.2", "10.1.0.1")):
            inside(process.pid, partial(set_up_eth0, address, gateway))
        published(function, "tcp", "0.0.0.0", 8080, "10.1.0.2", 80)
        published(function, "tcp", "192.0.2.1", 8081, "10.1.0.2", 80)
        published(function, "tcp", "127.0.0.1", 8082, "10.1.0.2", 80)
        with inside(container.pid, partial(listening, "10.1.0.2", 80)) as listener:
            for who, address, port, wanted in (
                (world, "192.0.2.1", 8080, "192.0.2.2"),
                (world, "192.0.2.1", 8081, "192.0.2.2"),
                (function.process, "127.0.0.1", 8082, "10.1.0.1"),
            ):
                seen = connected(who.pid, address, port, listener)
                equal(seen, wanted, f"who the container's server sees at {address}, port {port} ('' is nobody)")


def wire(world: Process, container: Process) -> None:
    """A host: a cable to the world, and a bridge with a cable to a container."""
    bridge = add_bridge("pc-lab")
    with netlink.Socket() as sock, netlink.Socket(netlink.NETFILTER) as filter:
        link.set_up(sock, link.index(sock, "lo"))
        link.add_veth(sock, "up0", 0, world.pid, "eth0", "")
        link.add_veth(sock, "veth1", bridge, container.pid, "eth0", "")
        link.add_address(sock, link.index(sock, "up0"), "192.0.2.1", 24)
        link.add_address(sock, bridge, "10.1.0.1", 24)
        rules.add_bridge(filter, "pc-lab")
    for path in ("ip_forward", "conf/pc-lab/route_localnet"):
        with open(f"/proc/sys/net/ipv4/{path}", "w") as file:
            file.write("1")


def set_up_eth0(address: str, gateway: str) -> None:
    with netlink.Socket() as sock:
        number = link.index(sock, "eth0")
        link.add_address(sock, number, address, 24)
        link.set_up(sock, number)
        if gateway:
            link.add_route(sock, number, gateway)


def test_6_5_the_engine_publishes_a_port(pyctr: Any) -> None:
    serve = "while true; do echo hello | nc -l -p 80; done"
    pyctr("run", "-d", "--name", "web", "-p", "8080:80", "busybox", "sh", "-c", serve)
    heard = ""
    deadline = time.monotonic() + 3 * SLOWNESS
    while not heard and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", 8080), 1) as client:
            client.settimeout(1)
            heard = client.recv(100).decode()
    equal(heard, "hello\n", "what a client of 127.0.0.1, port 8080, hears of the container's server at port 80")
    done = pyctr("run", "--rm", "-p", "8080:80", "busybox", "true", check=False)
    expect(
        done.returncode == 125 and "port is already allocated" in done.stderr,
        f"a second container with -p 8080:80 should fail with 125 and 'port is already allocated'; it ends with "
        f"{done.returncode} and\n    {done.stderr.strip() or 'no error'}",
    )


# --- 6.6 -------------------------------------------------------------------------------------------------

CODES = {dns.NOERROR: "NOERROR", dns.FORMERR: "FORMERR", dns.SERVFAIL: "SERVFAIL", dns.NXDOMAIN: "NXDOMAIN"}
CODES |= {dns.NOTIMP: "NOTIMP", dns.REFUSED: "REFUSED"}
MX, TXT = 15, 16
KINDS = {dns.A: "A", dns.AAAA: "AAAA", dns.PTR: "PTR", MX: "MX", TXT: "TXT", dns.ANY: "ANY"}
CHAOS = 3
ADDRESSES = {
    "web": ["10.1.0.2"],
    "six": ["fd00::2"],
    "both": ["10.1.0.3", "fd00::3"],
    "none": [],
    "db.example": ["10.1.0.4"],
    "many": [f"10.1.{number}.1" for number in range(40)],
}
NAMES = {"10.1.0.2": "web.net", "fd00::2": "six.net"}


def query(name: str, kind: int = dns.A, class_: int = dns.IN, flags: int = 0x0100) -> bytes:
    return (
        struct.pack(">HHHHHH", 0x1234, flags, 1, 0, 0, 0)
        + dns.encode_name(name)
        + struct.pack(">HH", kind, class_)
    )


class Reply:
    """An answer taken apart: its code, whether it is cut, and its records, type and data as text."""

    def __init__(self, message: bytes) -> None:
        self.id, flags, questions, count, _, _ = struct.unpack_from(">HHHHHH", message)
        self.size, self.code, self.cut = len(message), flags & 15, bool(flags & 0x0200)
        position = 12
        for _ in range(questions):
            position = after_name(message, position) + 4
        self.question, self.records = message[12:position], []
        for _ in range(count):
            position = after_name(message, position)
            kind, _, _, length = struct.unpack_from(">HHIH", message, position)
            self.records.append((kind, message[position + 10 : position + 10 + length]))
            position += 10 + length

    @property
    def texts(self) -> list[str]:
        return [text_of(*record) for record in self.records]


def after_name(message: bytes, position: int) -> int:
    while message[position] and message[position] < 0xC0:
        position += 1 + message[position]
    return position + (2 if message[position] else 1)


def text_of(kind: int, data: bytes) -> str:
    if kind in (dns.A, dns.AAAA):
        return socket.inet_ntop(socket.AF_INET if kind == dns.A else socket.AF_INET6, data)
    return dns.decode_name(data)


def asked(
    yours: Yours, *queries: tuple[bytes, int], what: str = "a query", **more: Any
) -> tuple[list[bytes | None], list[str]]:
    """The answers of one resolver, and what was looked up."""
    args = [queries, ADDRESSES, NAMES]
    answer = yours.answer(tuple(args), more, scene="asked")
    expect(
        answer.raised is None,
        f"{what}: answer raises\n    {answer.raised}\nWho would answer the client then? The resolver has only "
        "this process.",
    )
    found = answer.value["answers"]
    for each in found:
        expect(
            each is None or isinstance(each, bytes), f"{what}: answer gives {each!r}. An answer is bytes, or None"
        )
    return found, answer.value["asked"]


def one(yours: Yours, name: str, kind: int, limit: int = 512, **more: Any) -> bytes | None:
    [found], _ = asked(yours, (query(name, kind), limit), what=f"{KINDS[kind]} of {name}", **more)
    return found


def replied(yours: Yours, name: str, kind: int, why: str, limit: int = 512, **more: Any) -> Reply:
    """The answer to a query that has to be answered here, without an error."""
    found = one(yours, name, kind, limit, **more)
    what = f"{KINDS[kind]} of {name}"
    expect(found is not None, f"{what}: answer gives None, so the host's servers are asked. {why}")
    assert found is not None
    reply = Reply(found)
    equal(reply.id, 0x1234, f"{what}: the id of the answer")
    equal(reply.question, query(name, kind)[12:], f"{what}: the question in the answer")
    expect(
        reply.code == dns.NOERROR,
        f"{what}: the answer's code is {CODES.get(reply.code, reply.code)}; it should be NOERROR. {why}",
    )
    return reply


def test_6_6_a_name_has_the_addresses_that_are_asked_for(yours: Yours) -> None:
    why = "A container has this name: who else would know it?"
    for name, kind, wanted in (
        ("web", dns.A, ["10.1.0.2"]),
        ("six", dns.AAAA, ["fd00::2"]),
        ("both", dns.A, ["10.1.0.3"]),
        ("both", dns.AAAA, ["fd00::3"]),
        ("WEB", dns.A, ["10.1.0.2"]),
        ("db.example", dns.A, ["10.1.0.4"]),
        ("both", dns.ANY, ["10.1.0.3", "fd00::3"]),
    ):
        reply = replied(yours, name, kind, why)
        equal(reply.texts, wanted, f"the records of {KINDS[kind]} of {name}")


def test_6_6_a_name_without_such_a_record_is_a_name(yours: Yours) -> None:
    for name, kind in (
        ("web", dns.AAAA),
        ("six", dns.A),
        ("none", dns.A),
        ("none", dns.AAAA),
        ("web", MX),
        ("web", TXT),
        ("db.example", dns.AAAA),
        ("web", dns.PTR),
    ):
        why = (
            f"The name {name} is a container's, and has no record {KINDS[kind]}. NXDOMAIN would say that it has "
            "no record at all, and musl would give up; the host's servers have never heard of it. What says 'none "
            "of this type'?"
        )
        reply = replied(yours, name, kind, why)
        equal(reply.texts, [], f"the records of {KINDS[kind]} of {name}")


def test_6_6_an_address_has_its_container_s_name(yours: Yours) -> None:
    why = "The address is a container's: who else would know its name?"
    six = ".".join(reversed(bytes_of("fd00::2").hex())) + ".ip6.arpa"
    for name, wanted in (("2.0.1.10.in-addr.arpa", "web.net"), (six, "six.net")):
        equal(replied(yours, name, dns.PTR, why).texts, [wanted], f"the records of PTR of {name}")
    _, looked_up = asked(yours, (query("2.0.1.10.in-addr.arpa", dns.PTR), 512))
    equal(looked_up, ["10.1.0.2"], "what was looked up for PTR of 2.0.1.10.in-addr.arpa")


def test_6_6_all_else_is_for_the_host_s_servers(yours: Yours) -> None:
    for name, kind, why in (
        ("example.com", dns.A, "No container has this name"),
        ("unknown", dns.A, "No container has this name, and maybe the host's search domain does"),
        ("unknown", dns.AAAA, "No container has this name"),
        ("unknown", MX, "No container has this name"),
        ("9.0.1.10.in-addr.arpa", dns.PTR, "No container has this address"),
        ("2.0.1.10.in-addr.arpa", dns.A, "It is a reverse name, and its address is asked for, not its name"),
        ("web.in-addr.arpa", dns.PTR, "It is no reverse name"),
    ):
        found = one(yours, name, kind)
        expect(
            found is None,
            f"{KINDS[kind]} of {name}: {why}, and it is answered here{said(found)}. Who knows better?",
        )
    for message, why in (
        (query("web", dns.A, CHAOS), "the class CH, which is not the Internet's"),
        (struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\0" + struct.pack(">HH", 2, 1), "NS of the root"),
        (query("we b", dns.A), "a name that no container can have"),
    ):
        [found], looked_up = asked(yours, (message, 512), what=f"a query for {why}")
        expect(found is None, f"a query for {why} is answered here{said(found)}. Whose business is it?")
        equal(looked_up, [], f"what is looked up for {why}: files are named like this, and there can be none")


def said(found: bytes | None) -> str:
    if found is None:
        return ""
    reply = Reply(found)
    return f", with {CODES.get(reply.code, reply.code)} and {len(reply.records)} records"


def test_6_6_a_wrong_query_is_answered_with_its_error(yours: Yours) -> None:
    head = struct.pack(">HHHHHH", 9, 0x0100, 1, 0, 0, 0)
    opt = b"\0" + struct.pack(">HHIH", 41, 1232, 1 << 16, 0)
    with_opt = struct.pack(">HHHHHH", 9, 0x0100, 1, 0, 0, 1) + query("web")[12:] + opt
    for message, code, why in (
        (head + b"\xff", dns.FORMERR, "a name that is cut off"),
        (struct.pack(">HHHHHH", 9, 0x0100, 2, 0, 0, 0) + query("web")[12:] * 2, dns.FORMERR, "two questions"),
        (query("web", flags=0x2900), dns.NOTIMP, "an update, not a query"),
        (with_opt, dns.BADVERS & 15, "an unknown version of EDNS"),
    ):
        [found], looked_up = asked(yours, (message, 512), what=why)
        expect(found is not None, f"{why}: query.error is set, and answer gives None. Who tells the client?")
        assert found is not None
        equal(
            CODES.get(Reply(found).code),
            CODES[code],
            f"{why}: the code of the answer. query.error has it, and a query with an error has nothing else to "
            "answer.",
        )
        equal(Reply(found).records, [], f"{why}: the records of the answer")
        equal(looked_up, [], f"{why}: what is looked up")
    full = dns.parse_query(with_opt)
    assert full is not None
    [found], _ = asked(yours, (with_opt, 512))
    equal(hex_of(found), hex_of(dns.answer(full, error=dns.BADVERS)), "the answer to an unknown version of EDNS")


def test_6_6_a_file_that_cannot_be_read_is_no_answer(yours: Yours) -> None:
    for broken, name, kind in (("web", "web", dns.A), ("10.1.0.2", "2.0.1.10.in-addr.arpa", dns.PTR)):
        what = f"{KINDS[kind]} of {name}, whose file cannot be read"
        [found], _ = asked(yours, (query(name, kind), 512), what=what, broken=broken)
        expect(found is not None, f"{what}: answer gives None, so somebody else is asked for a name of ours")
        assert found is not None
        code = Reply(found).code
        expect(
            code == dns.SERVFAIL,
            f"{what}: the code is {CODES.get(code, code)}. What lets the client ask again, and conclude nothing?",
        )


def test_6_6_any_error_of_the_system_is_servfail(yours: Yours) -> None:
    for number in (errno.ENOENT, errno.EIO, errno.EMFILE, errno.ELOOP):
        for broken, name, kind in (("web", "web", dns.A), ("10.1.0.2", "2.0.1.10.in-addr.arpa", dns.PTR)):
            what = f"{KINDS[kind]} of {name}, whose file cannot be read ({errno_name(number)})"
            [found], _ = asked(yours, (query(name, kind), 512), what=what, broken=broken, number=number)
            code = Reply(found).code if found else None
            equal(
                CODES.get(code or 0), "SERVFAIL", f"{what}: the code. Which class do all these errors belong to?"
            )


def test_6_6_what_could_not_be_read_can_be_read_later(yours: Yours) -> None:
    for broken in ("web", ""):
        [found], _ = asked(yours, (query("web"), 512), broken=broken)
    assert found is not None
    equal(
        Reply(found).texts,
        ["10.1.0.2"],
        "the records of A of web, whose file could not be read at first: what is kept from one call to the next?",
    )


def test_6_6_a_bug_is_not_hidden(yours: Yours) -> None:
    """An error that is not the system's is a fault of the engine: it is to be seen."""
    for wrong, name, kind in (("web", "web", dns.A), ("10.1.0.2", "2.0.1.10.in-addr.arpa", dns.PTR)):
        args = ([(query(name, kind), 512)], ADDRESSES, NAMES)
        answer = yours.answer(args, {"wrong": wrong}, scene="asked")
        about = f"The look-up of {wrong} has a bug, which is no OSError: who sees it if the client gets SERVFAIL?"
        yours.refused(answer, ZeroDivisionError, about)


def test_6_6_an_answer_is_no_longer_than_the_client_takes(yours: Yours) -> None:
    reply = replied(yours, "many", dns.A, "A container has this name.", 512)
    expect(
        reply.size <= 512,
        f"40 addresses, and a client that takes 512 bytes: the answer has {reply.size}. Who is told of the limit?",
    )
    expect(
        reply.cut and reply.records,
        f"40 addresses do not fit into 512 bytes, and the answer has {len(reply.records)} of them and "
        f"{'says' if reply.cut else 'does not say'} that it is cut (the flag TC). How would the client know to "
        "ask by TCP?",
    )
    reply = replied(yours, "many", dns.A, "A container has this name.", 65535)
    equal([len(reply.records), reply.cut], [40, False], "records, and whether it is cut, of 40 addresses by TCP")
    name = "2.0.1.10.in-addr.arpa"
    small = replied(yours, name, dns.PTR, "The address is a container's.", 40)
    equal(
        [small.size <= 40, small.cut],
        [True, True],
        "PTR with a limit of 40 bytes: is it kept, and is the answer cut",
    )
    wanted = replied(yours, name, dns.PTR, "The address is a container's.", 512)
    equal([wanted.texts, wanted.cut], [["web.net"], False], "PTR with a limit of 512 bytes: records, is it cut")


def test_6_6_each_of_several_is_the_first_in_turn(yours: Yours) -> None:
    found, _ = asked(yours, *[(query("many"), 65535)] * 4, what="A of many, four times")
    firsts = [Reply(each).texts[0] for each in found if each]
    equal(firsts, [f"10.1.{number}.1" for number in range(4)], "the first of 40 addresses, in four answers")


def test_6_6_without_single_a_short_name_stays_here(yours: Yours) -> None:
    why = "Names of one label are not sent on (single is False): the client tries its search domains then."
    for kind in (dns.A, dns.AAAA):
        equal(
            replied(yours, "unknown", kind, why, single=False).texts, [], f"{KINDS[kind]} of unknown: the records"
        )
    equal(replied(yours, "web", dns.A, why, single=False).texts, ["10.1.0.2"], "A of web, without single")
    for name, kind in (("unknown.example", dns.A), ("unknown", MX), ("9.0.1.10.in-addr.arpa", dns.PTR)):
        found = one(yours, name, kind, single=False)
        expect(
            found is None,
            f"{KINDS[kind]} of {name} is answered here{said(found)}, without single: which names and types stay "
            "here?",
        )


def test_6_6_any_query_gives_what_the_engine_s_own_gives(yours: Yours) -> None:
    drawn = random.Random(66)
    names = [
        *ADDRESSES,
        "2.0.1.10.in-addr.arpa",
        "9.0.1.10.in-addr.arpa",
        "unknown",
        "a.b",
        "web.",
        "in-addr.arpa",
    ]
    queries = [
        (
            query(drawn.choice(names), drawn.choice(list(KINDS)), drawn.choice((1, 1, 1, 1, CHAOS))),
            drawn.choice((512, 600, 4096, 65535)),
        )
        for _ in range(80)
    ]
    for single in (True, False):
        found, looked_up = asked(yours, *queries, what="80 queries", single=single)
        wanted, right = by_the_engine(queries, single)
        for (message, limit), ours, theirs in zip(queries, found, wanted, strict=True):
            parsed = dns.parse_query(message)
            assert parsed is not None
            what = f"{KINDS[parsed.kind]} of {parsed.name}, class {parsed.class_}, {limit} bytes, single={single}"
            equal(hex_of(ours), hex_of(theirs), f"{what}: the answer")
        equal(looked_up, right, "what was looked up for 80 queries, in order")


def by_the_engine(queries: list[tuple[bytes, int]], single: bool) -> tuple[list[bytes | None], list[str]]:
    from labs.lab6_networks import scenes
    from pyctr_lite.networks.resolver import Resolver

    found = scenes.asked(Resolver.answer, queries, ADDRESSES, NAMES, single=single)
    return found["answers"], found["asked"]


def test_6_6_a_client_is_served_by_udp_and_tcp(yours: Yours) -> None:
    with yours.at(NET, load="swapped") as function:
        function.begin(ADDRESSES, [], scene="serve", seconds=30)
        by_udp = inside(function.process.pid, partial(ask_by_udp, query("many")))
        expect(
            by_udp is not None, "a client asks 127.0.0.11, port 53, by UDP for a name of 40 addresses: no answer"
        )
        equal(Reply(by_udp).cut, True, "whether the answer by UDP says that it is cut")
        by_tcp = inside(function.process.pid, partial(ask_by_tcp, query("many")))
        equal(len(Reply(by_tcp).records), 40, "the records of the answer by TCP")
        nobody = inside(function.process.pid, partial(ask_by_udp, query("unknown")))
        equal(
            CODES[Reply(nobody).code],
            "SERVFAIL",
            "the code for an unknown name, where no server of the host is known",
        )


def ask_by_udp(message: bytes) -> bytes | None:
    """Ask until the server is there, for three seconds at most."""
    deadline = time.monotonic() + 3 * SLOWNESS
    while time.monotonic() < deadline:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.1)
            try:
                sock.connect(("127.0.0.11", 53))
                sock.send(message)
                return sock.recv(4096)
            except OSError:
                time.sleep(0.005)
    return None


def ask_by_tcp(message: bytes) -> bytes:
    with socket.create_connection(("127.0.0.11", 53), 2) as sock, sock.makefile("rb") as file:
        sock.sendall(struct.pack(">H", len(message)) + message)
        return file.read(struct.unpack(">H", file.read(2))[0])


def test_6_6_containers_find_each_other_by_name(pyctr: Any) -> None:
    Networks(Paths(str(pyctr.root))).make("net")
    pyctr("run", "-d", "--name", "web", "--network", "net", "busybox", "sleep", "100")
    done = pyctr(
        "run", "--rm", "--network", "net", "busybox", "sh", "-c", "ping -c 1 -W 2 web >/dev/null && echo found"
    )
    equal(done.stdout, "found\n", "whether a container finds the container web by its name")
    done = pyctr("run", "--rm", "--network", "net", "busybox", "nslookup", "nobody", check=False)
    expect(
        "web" not in done.stdout and done.returncode, "nslookup of a name that no container has finds something"
    )
