"""`doctor`: the findings that show whether this machine is ready for containers, each with its fix."""

from __future__ import annotations

import os

from pyctr_lite.engine.doctor import cgroups, filters, kernel, networks, running, state, tools
from pyctr_lite.engine.doctor.finding import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctr_lite.engine.home import Home


def examine(home: Home) -> list[Finding]:
    """Examine the machine and the engine's state. Every finding is tested for real; nothing is left behind.

    Only for a single-threaded process: namespaces and mounts are tested in forked children.
    """
    if os.geteuid() == 0:
        return list(_findings(home))
    return [_for_a_user(finding) for finding in _findings(home)]


def _for_a_user(finding: Finding) -> Finding:
    """Without root, a permission error says nothing about the machine: advise sudo."""
    forbidden = ("not permitted" in finding.text or "denied" in finding.text) and not finding.ok
    if forbidden:
        finding.fix = "use sudo: only root can test this"
    return finding


def _findings(home: Home) -> Iterator[Finding]:
    yield from kernel.findings()
    yield from filters.findings()
    yield from kernel.namespaces()
    yield from cgroups.findings(home.paths)
    yield from kernel.overlay(home.paths.root)
    yield from networks.findings(home)
    yield from running.monitors(home)
    yield from tools.findings(home)
    yield from state.findings(home)
