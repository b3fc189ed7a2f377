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
    with EPERM afterwards), after it those that need the privileges it grants. Raises KeyError for an unknown kind.
    Source: setns(2), user_namespaces(7).
    """
    # `linux.setns(fd, flag)` joins one namespace; with the flag of the kind the kernel makes sure that the
    # descriptor is of that kind. A kind has two names here: "net" or "network", "mnt" or "mount".
    # - Joining takes CAP_SYS_ADMIN in the user namespace that *owns* the namespace. Joining that grants
    #   all capabilities inside and takes away those outside. What does it mean for a network of the host? And
    #   for one that the container's user namespace owns?
    # - So an EPERM may only mean "not yet". When may it not? And what of every other error?
    # - `targets` and its descriptors stay the caller's. A descriptor can be number 0.
    raise Todo("1.5")
