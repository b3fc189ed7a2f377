"""`doctor`: whether this machine is ready for containers, one fact a line, each with its fix."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyctr_lite.engine.doctor import cgroups as doctor_cgroups
from pyctr_lite.engine.doctor import filters as doctor_filters
from pyctr_lite.engine.doctor import kernel as doctor_kernel
from pyctr_lite.engine.doctor import state as doctor_state
from pyctr_lite.engine.doctor import tools as doctor_tools
from pyctr_lite.engine.doctor.finding import Fact

if TYPE_CHECKING:
    from pyctr_lite.engine.home import Home


def examine(home: Home) -> list[Fact]:
    """Look at the machine and at the engine's state. It tries what it tells of, and leaves nothing behind.

    Only for a process with one thread: namespaces and mounts are tried in forked children.
    """
    if os.geteuid() == 0:
        return list(_facts(home))
    return [_for_a_user(fact) for fact in _facts(home)]


def _for_a_user(fact: Fact) -> Fact:
    """What failed for want of privileges tells nothing of the machine."""
    forbidden = ("not permitted" in fact.text or "denied" in fact.text) and not fact.ok
    return dataclasses.replace(fact, fix="use sudo: only root can try it") if forbidden else fact


def _facts(home: Home) -> Iterator[Fact]:
    yield from doctor_kernel.facts()
    yield from doctor_filters.facts()
    yield from doctor_kernel.namespaces()
    yield from doctor_cgroups.facts(home.paths)
    yield from doctor_kernel.overlay(home.paths.root)
    yield from doctor_tools.facts(home)
    yield from doctor_state.facts(home)
