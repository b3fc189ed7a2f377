"""System calls missing from Python's standard library, under the kernel's own names.

Every function raises OSError with the call's name and path; every function that changes something can be narrated
(see `explain`).
"""

from pyctr_lite.linux.constants import *  # noqa: F403
from pyctr_lite.linux.mounts import *  # noqa: F403
from pyctr_lite.linux.privileges import *  # noqa: F403
from pyctr_lite.linux.processes import *  # noqa: F403
from pyctr_lite.linux.scoped import *  # noqa: F403
