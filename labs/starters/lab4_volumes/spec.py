"""What `-v` asks for, as a value (exercise 4.2)."""

from __future__ import annotations

import os

from labs.kit import Todo
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.volumes import spec
from pyctr_lite.volumes.spec import MountSpec


def parse_volume(text: str) -> MountSpec:
    """Parse `-v [SOURCE:]TARGET[:OPTIONS]`; a source that begins with a slash or dot is a path, others are names.

    Raises InvalidArgument with Docker's message. A path that contains a colon needs --mount.
    """
    # 1. Nothing at all is refused: raise InvalidArgument("what is wrong").
    # 2. Take it apart at its colons. An empty part is refused, and so are more than three parts. Docker's words:
    #    "invalid spec: <text>: empty section between colons" and "invalid spec: <text>: too many colons".
    # 3. Which part is what? One part is the target alone: the volume is anonymous, its source is "". Else the
    #    first is the source, the second the target, the third, if there is one, the options.
    # 4. `/data:ro` has two parts, and its second is no target: `spec.are_modes(part)` says whether a part is
    #    options. Refuse it: "invalid volume specification: '<text>'".
    # 5. A source that begins with a dot is a path of the shell's working directory (`os.path.abspath`).
    # 6. Make the value: `mount = MountSpec(type, source, target)`. Its type is "bind" for a path, else "volume".
    # 7. With -v the missing directory of a bind is made: `mount.create_source`. For a volume it stays False.
    # 8. `spec.finish_volume(mount, text, modes)` sets the options (give "" where there are none) and checks all
    #    of it. Return the mount.
    raise Todo("4.2")
