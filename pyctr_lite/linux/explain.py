"""The narration of `--explain`: each kernel step in order, with its chapter, result and microseconds.

Only `narrate` writes, and it is called only while `sink` is set, so a disabled narration costs one comparison.
Processes forked while it is enabled narrate to the same descriptor: each step is one write(2).
"""

from __future__ import annotations

import errno
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

CHAPTERS = {"namespaces": 1, "cgroups": 2, "rootfs": 3, "volumes": 4, "commit": 5, "networks": 7}
"""The chapters with kernel steps, and the numbers of their notebooks."""

_CHAPTER_OF_MODULE = {
    "runtime.init": "namespaces",
    "runtime.start": "namespaces",
    "runtime.filesystem": "rootfs",
    "runtime.trees": "rootfs",
    "runtime.binds": "rootfs",
    "runtime.rare_binds": "rootfs",
    "runtime.cgroupfs": "rootfs",
    "runtime.console": "rootfs",
}
"""Runtime modules whose steps belong to a chapter."""

_WRAPPERS = ("pyctr_lite.linux", "pyctr_lite.networks.nft")
"""Modules that make steps for others."""

sink: int | None = None
"""The descriptor for the narration, or None to narrate nothing."""
as_json = False
_shorten: Callable[[str], str] = str
"""Shortens ids of 64 digits to 12 for a reader; a program gets full ids."""

_visible: Callable[[str], str] = str
"""Escapes control characters if the reader is a terminal: paths and names come from images."""


def start(fd: int, *, json: bool = False) -> None:
    """Narrate every kernel step from now on to a descriptor, one line per step."""
    global sink, as_json, _shorten, _visible
    import re  # import now: after entering a container's root nothing may be imported

    from pyctr_lite import screen

    _visible = (screen.visible_json if json else screen.visible) if os.isatty(fd) else str
    _shorten = lambda text: re.sub(r"([0-9a-f]{12})[0-9a-f]{52}", r"\1…", text)  # noqa: E731
    sink, as_json = fd, json


def stop() -> None:
    """Stop the narration."""
    global sink
    sink = None


def step(text: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function that is not narrated otherwise (such as `os.chdir`) as a narrated step.

    The step is attributed to the function's own module if that belongs to a chapter, as a learner's does.
    """
    if sink is None:
        return function(*args, **kwargs)
    began, module = time.perf_counter_ns(), getattr(function, "__module__", None) or ""
    try:
        result = function(*args, **kwargs)
    except OSError as error:
        narrate(text, began, f"-1 {errno.errorcode.get(error.errno or 0, str(error.errno))}", module)
        raise
    narrate(text, began, result if isinstance(result, int) and not isinstance(result, bool) else None, module)
    return result


def narrate(text: str, began: int, result: object = None, module: str = "") -> None:
    """Write one step: `[3 rootfs] mount("overlay", …)  = 0  412 µs`. `began` is of time.perf_counter_ns().

    `module` made the step; if empty, or if it belongs to no chapter, the caller's module did.
    """
    if sink is None:
        return
    microseconds = (time.perf_counter_ns() - began) // 1000
    chapter = _chapter(module)
    if not chapter:
        chapter, module = _caller()
    if as_json:
        from pyctr_lite import jsonfile

        number = CHAPTERS.get(chapter, 0)
        line = jsonfile.dumps(
            {
                "chapter": number,
                "name": chapter,
                "module": module,
                "pid": os.getpid(),
                "call": text,
                "result": None if result is None else str(result),
                "microseconds": microseconds,
            }
        )
    else:
        label = f"{CHAPTERS[chapter]} {chapter}" if chapter in CHAPTERS else chapter
        outcome = "" if result is None else f" = {result}"
        line = f"{'[' + label + ']':<14} {_shorten(text)}{outcome}  {microseconds} µs"
    try:
        os.write(sink, _visible(line).encode(errors="backslashreplace") + b"\n")
    except OSError:
        pass  # the reader is gone: that must not stop the container


def _caller() -> tuple[str, str]:
    """Return the chapter and module of the code that makes the step: the innermost caller outside this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module: str = frame.f_globals.get("__name__", "")
        if not module.startswith(_WRAPPERS):
            if chapter := _chapter(module):
                return chapter, module
            room = module.removeprefix("pyctr_lite.")
            if room.startswith(("runtime.", "images.", "engine.", "cli.")):
                return _CHAPTER_OF_MODULE.get(room, room.partition(".")[0]), module
        frame = frame.f_back
    return "runtime", ""


def _chapter(module: str) -> str:
    """Return the chapter of a module, ours (pyctr_lite.rootfs.pivot) or a learner's (labs.lab3_rootfs.pivot)."""
    for part in module.split("."):
        if part in CHAPTERS:
            return part
        for chapter in CHAPTERS:
            if part.startswith("lab") and part.endswith("_" + chapter):
                return chapter
    return ""
