"""The value of a `-v` option (exercise 4.2)."""

from __future__ import annotations

import os

from labs.kit import Todo
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.volumes import spec
from pyctr_lite.volumes.spec import MountSpec


def parse_volume(text: str) -> MountSpec:
    """Parse `-v [SOURCE:]TARGET[:OPTIONS]`; a source that begins with a slash or dot is a path, others are names.

    A path that begins with a dot is relative to the working directory. A path is bound, and made if it is missing;
    a name is that of a volume. Without a source the volume is anonymous.
    Raises InvalidArgument with Docker's message: "invalid spec: TEXT: empty section between colons", "invalid
    spec: TEXT: too many colons", and for options without a source "invalid volume specification: 'TEXT'". A path
    that contains a colon needs --mount.
    """
    # 1. Write down the forms that the grammar allows: for each of them, which part is the source, the target,
    #    the options? The source of an anonymous volume is "".
    # 2. An empty part, and what follows a third colon, mean nothing. What does Docker say to them?
    # 3. `/data:ro` has two parts, and nobody meant `ro` as a path. `spec.are_modes(part)` returns whether a
    #    part is options.
    # 4. The engine works in another directory than the shell. What does `./x` have to become here, while the
    #    working directory is still the shell's? May a symbolic link in it be followed as early as that?
    # 5. The value is a `MountSpec(type, source, target)` of type "bind" or "volume". Of which type is a missing
    #    source made (`create_source`)?
    # 6. `spec.finish_volume(mount, text, modes)` sets the options ("" for none), checks the rest and cleans the
    #    paths. Its messages quote the text: which one does the user know?
    raise Todo("4.2")
