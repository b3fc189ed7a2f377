"""Joining namespaces that exist (exercise 1.5)."""

from __future__ import annotations

import errno

from labs.kit import Todo
from pyctr_lite import linux
from pyctr_lite.namespaces import kinds


def join(targets: dict[str, int]) -> None:
    """Move the caller into existing namespaces; a pid or time namespace takes only the caller's later children.

    `targets` maps a kind to a descriptor of the namespace. The user namespace comes in the middle: before it come
    the namespaces that the caller's own privileges suffice for (a network namespace owned by the host would fail
    with EPERM afterwards), after it those that need the privileges it grants.
    Source: setns(2), user_namespaces(7).
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
