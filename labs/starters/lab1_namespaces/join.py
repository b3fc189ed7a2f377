"""Joining namespaces that exist (exercise 1.5)."""

from __future__ import annotations

import errno

from labs.kit import Todo
from pyctr_lite import linux
from pyctr_lite.namespaces import kinds


def join(targets: dict[str, int]) -> None:
    """Move the caller into others' namespaces; into a pid or time namespace move only its later children.

    The user namespace comes in the middle: what the caller's own privileges reach is joined before it (a
    network namespace that the host owns is EPERM afterwards), what is left is joined after it, with the
    privileges that it gives. Source: setns(2), user_namespaces(7).
    """
    # `targets` maps a kind, by either of its names, to an open descriptor. It stays the caller's: do not change
    # the dictionary, do not close a descriptor.
    # `linux.setns(fd, flag)` joins one. With the kind's flag (`kinds.BY_NAME[name].flag`) the kernel makes sure
    # that the descriptor is of that kind.
    # 1. Set the user namespace aside (its name is "user" in both lists).
    # 2. Try to join each of the others. An EPERM may only mean "not yet": if there is a user namespace to
    #    join, keep that one for step 4. Every other error goes out.
    # 3. Join the user namespace, if there is one. From here on the caller has all privileges in it, and none
    #    outside of it.
    # 4. Join what was kept. What fails now goes out.
    raise Todo("1.5")
