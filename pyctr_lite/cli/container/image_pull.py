"""Pull the image of a container before it is created, in a child process.

The child keeps the threads, and the memory of the HTTP and TLS libraries, out of this process, which forks the
container's monitor.
"""

from __future__ import annotations

import os
import signal
import sys

from pyctr_lite import jsonfile
from pyctr_lite.cli.screen import layers
from pyctr_lite.errors import NotFound, PyctrError
from pyctr_lite.images import platforms
from pyctr_lite.images import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from pyctr_lite.cli.command.flags import Context
    from pyctr_lite.engine.stores.images import Images
    from pyctr_lite.images.reference import Reference


def pull(context: Context, missing: NotFound | None) -> None:
    """Pull the image of `run` or `create`: always, for another platform, or because it is `missing`.

    The lines are on stderr. Raises `missing` if nothing may be pulled, else the registry's error.
    """
    flags, store, name = context.flags, context.engine.images, context.flags.arguments[0]
    if not missing and flags.pull != "always":
        missing = _wrong_platform(store, name, flags.platform)
        if not missing:
            return
    if missing and (flags.pull == "never" or name.startswith("sha256:")):
        if not missing.hint.startswith("did you mean"):
            missing.hint = "pyctr_lite images lists all images; pull, import and load add more"
        raise missing
    reference = references.parse(name)
    if missing:
        print(f"Unable to find image '{reference.familiar()}' locally", file=sys.stderr, flush=True)
    suggestion = missing.hint if missing and missing.hint.startswith("did you mean") else ""
    _pull(store, reference, flags.platform, suggestion, quiet=flags.quiet)


def _wrong_platform(store: Images, name: str, platform: str) -> NotFound | None:
    """Return the error that the image is missing, or is here for another platform only."""
    wanted = platforms.parse(platform)
    try:
        image = store.get(name)
    except NotFound as error:
        return error
    if platforms.matches(image.config, wanted):
        return None
    return NotFound(f"No such image: {references.parse(name).familiar()} for {platforms.show(wanted)}")


def _pull(store: Images, reference: Reference, platform: str | None, suggestion: str, *, quiet: bool) -> None:
    """Pull in a child process. An error gets the hint `suggestion`, if there is one."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _in_child(store, reference, platform, write_fd, quiet)
    os.close(write_fd)
    with open(read_fd, "rb") as file:
        answer = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == 0:
        return
    if code == -signal.SIGINT:
        raise KeyboardInterrupt
    if not answer:
        raise PyctrError(f"pulling {reference.familiar()} ended with status {code}")
    kind, message, hint = jsonfile.loads(answer)
    raise (NotFound if kind == "NotFound" else PyctrError)(message, suggestion or hint)


def _in_child(store: Images, reference: Reference, platform: str | None, write_fd: int, quiet: bool) -> NoReturn:
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # it ends the threads, too; what came is kept
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        layers.pull(store, reference, platform, layers.Layers(2, quiet=quiet))
        code = 0
    except PyctrError as error:
        os.write(write_fd, jsonfile.dumps([type(error).__name__, error.message, error.hint]).encode())
    except OSError as error:
        text = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        os.write(write_fd, jsonfile.dumps(["OSError", text, ""]).encode())
    finally:
        sys.stderr.flush()
        os._exit(code)
