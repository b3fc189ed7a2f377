"""Images made without a registry: from the host's static busybox, and from Debian's archive by mmdebstrap."""

from __future__ import annotations

import io
import os
import shutil
import subprocess

from pyctr_lite.commit import config as configs
from pyctr_lite.errors import InvalidArgument, NotFound
from pyctr_lite.formats import timestamps
from pyctr_lite.images import busybox as busyboxes
from pyctr_lite.images import debian, importer, platforms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.images.image import Image
    from pyctr_lite.images.store import ImageStore


def bootstrap_busybox(store: ImageStore, reference: str = "busybox:latest", busybox: str | None = None) -> Image:
    """Make an image of a static busybox with all its applets. Reproducible: the same digest each time.

    `busybox` is a path, by default the host's. Raises NotFound if there is no static busybox.
    """
    path = busybox or shutil.which("busybox")
    if not path or not busyboxes.is_static(path):
        problem = f"{path} is not a static program" if path else "no busybox on this machine"
        raise NotFound(f"{problem}: the image needs a static one", "apt-get install busybox-static")
    listed = subprocess.run([path, "--list-full"], capture_output=True, text=True, check=True).stdout
    version = subprocess.run([path], capture_output=True, text=True, check=False).stdout.partition("\n")[0]
    with open(path, "rb") as file:
        program, time = file.read(), int(os.fstat(file.fileno()).st_mtime)
    archive = busyboxes.root_filesystem(program, sorted(set(listed.split())), time)
    config: dict[str, Any] = {
        "created": timestamps.format_seconds(time),
        "architecture": platforms.architecture(),
        "os": "linux",
        "config": {"Env": [busyboxes.PATH], "Cmd": ["sh"]},
        "history": [
            {
                "created_by": f"pyctr_lite image bootstrap busybox # {version}",
                "comment": "the machine's own busybox",
            }
        ],
    }
    return importer.add_root_filesystem(store, io.BytesIO(archive), config, [reference])


def bootstrap_debian(store: ImageStore, suite: str = "", reference: str = "") -> Image:
    """Make a minimal Debian image with mmdebstrap, in about a minute, from 50 MB of the host's mirror.

    `suite` is a release's name, by default the host's; the image is named `debian:SUITE` unless `reference` is
    given. Raises NotFound if mmdebstrap is missing, PyctrError with its error message if it fails.
    """
    suite = suite or debian.codename()
    if not suite.replace("-", "").isalnum():
        raise InvalidArgument(f"invalid suite: {suite!r}", "use a release's name, such as bookworm or trixie")
    config: dict[str, Any] = {
        "created": configs.created_now(),
        "architecture": platforms.architecture(),
        "os": "linux",
        "config": {"Env": [busyboxes.PATH], "Cmd": ["bash"]},
        "history": [
            {"created": configs.created_now(), "created_by": f"pyctr_lite image bootstrap debian --suite {suite}"}
        ],
    }
    with debian.root_filesystem(suite) as archive:
        return importer.add_root_filesystem(store, archive, config, [reference or f"debian:{suite}"])
