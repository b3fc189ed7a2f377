"""A build for the Python API, in a process of its own: a build forks, and may take as long as it likes.

Both ends are here: `run` in the client, `main` in the process. The process ends with the thread that waits for it.
"""

from __future__ import annotations

import _socket
import os
import signal
import tempfile
from dataclasses import asdict

from pyctr_lite import caller, linux
from pyctr_lite.engine import engine
from pyctr_lite.engine.api import process
from pyctr_lite.engine.build import output, progress
from pyctr_lite.engine.build.build import BuildError
from pyctr_lite.engine.build.options import BuildOptions
from pyctr_lite.errors import PyctrError
from pyctr_lite.runtime import channel as channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(
    root: str, labs: str, options: BuildOptions, output: str, report: progress.Report, input: bytes = b""
) -> str:
    """Build in a new process, with `input` as its stdin, and return the id of the image, "" if there is none.

    `output` is a value of --output. An exception, also of `report`, ends the build. Raises BuildError.
    """
    with tempfile.TemporaryFile() as stdin:
        stdin.write(input)
        stdin.seek(0)
        builder, channel = process.start("builder", root, stdin, new_session=True)
    try:
        channel.send({"options": asdict(options), "output": output, "labs": labs})
        while (received := channel.receive()) is not None and received[0]["type"] == "progress":
            event = received[0]
            report(event["step"], event["what"], event["data"].encode("latin-1"))
    except BaseException:
        builder.send_signal(signal.SIGINT)
        raise
    finally:
        channel.close()
        builder.wait()
    if received is None:
        raise PyctrError("the build's process was killed", "build again")
    end = received[0]
    if end["type"] == "error":
        if end["class"] == BuildError.__name__:
            raise BuildError(PyctrError(end["message"], end["hint"]), end["name"], end["first"], end["excerpt"])
        channels.raise_error(end)
    image: str = end["image"]
    return image


def main(fd: int, root: str) -> None:
    """Build what the client asks for, and send it each event, and the image's id or the error."""
    caller.settle()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a client may ignore it
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGINT)
    channel = channels.Channel(_socket.socket(fileno=fd))
    os.set_inheritable(fd, False)
    try:
        if (received := channel.receive()) is not None:
            _serve(channel, root, received[0])
    except (KeyboardInterrupt, BrokenPipeError):
        pass  # the client does not wait for an answer


def _serve(channel: channels.Channel, root: str, request: dict[str, Any]) -> None:
    def report(step: str, what: str, data: bytes) -> None:
        channel.send({"type": "progress", "step": step, "what": what, "data": data.decode("latin-1")})

    served = engine.Engine(root)
    try:
        served.load_labs(request["labs"])
        options = BuildOptions(**request["options"])
        image = output.write(served, options, progress.Reported(report), request["output"])
        channel.send({"type": "done", "image": image.id if image else ""})
    except BuildError as error:
        located = {"name": error.name, "first": error.first, "excerpt": error.excerpt}
        channel.send(channels.describe_error(error) | located)
    except BrokenPipeError:
        raise
    except (PyctrError, OSError) as error:
        channel.send(channels.describe_error(error))
