"""A netlink message, piece by piece (exercises 6.1 and 6.2)."""

from __future__ import annotations

import struct

from labs.kit import Todo


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute: its length and its kind, then the value with zero bytes up to a multiple of four.

    Length and kind are numbers of 16 bits in the machine's byte order. The length counts itself, the kind and the
    value, but not the zero bytes behind it. Raises struct.error if length or kind does not fit into 16 bits.
    Source: rtnetlink(3), RTA_LENGTH and RTA_SPACE.
    """
    # 1. Write the bytes of kind 3 with the value b"eth0\0" on paper, and then the attribute that comes behind it.
    #    Where does the second one begin, and how does a reader find that place?
    # 2. Which of the bytes does the length count: its own, those of the kind, the zero bytes at the end?
    # 3. struct(3) of Python has a character for the machine's byte order with sizes that are the same everywhere.
    raise Todo("6.1")


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    """Return a request: a header, and the body with zero bytes up to a multiple of four, for another behind it.

    The header is five numbers in the machine's byte order: the length of header and body without the zero bytes
    (32 bits), the kind and the flags (16 bits each), the serial number by which the kernel's answer is known, and
    a port, 0 for the kernel (32 bits each). The flags are those given and NLM_F_REQUEST, which is 1.
    Raises struct.error if a number does not fit.
    Source: netlink(7).
    """
    # 1. linux/netlink.h describes the header as struct nlmsghdr: in which order do the five numbers come?
    # 2. Several messages may lie behind each other in what is sent. Where does the kernel look for the second?
    # 3. The caller's flags say what to do, such as create or dump. One more says that this is a request at all:
    #    how is it added so that nothing changes if the caller has given it, too?
    raise Todo("6.2")
