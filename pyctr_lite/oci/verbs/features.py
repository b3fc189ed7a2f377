"""`features`: the features of this runtime, for engines that choose by it (OCI runtime spec, features.md)."""

from __future__ import annotations

from pyctr_lite import jsonfile
from pyctr_lite.errors import UsageError
from pyctr_lite.namespaces import kinds
from pyctr_lite.oci import main
from pyctr_lite.rootfs import options
from pyctr_lite.runtime import features as process_features

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.oci.arguments import Arguments

SUMMARY = "print what this runtime supports as JSON"
WORDS = ""
OPTIONS = ()


def act(arguments: Arguments, context: main.Context) -> int:
    """Print the features."""
    if arguments.words:
        raise UsageError(f"too many arguments: {' '.join(arguments.words)}", "see --help")
    print(jsonfile.dumps(features(), indent=2))
    return 0


def features() -> dict[str, Any]:
    """Return the features object."""
    from pyctr_lite import __version__
    from pyctr_lite.runtime import hooks

    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": main.SPEC,
        "hooks": list(hooks.KINDS),
        "mountOptions": list(options.NAMES),
        "linux": {
            "namespaces": sorted({kind.oci for kind in kinds.BY_NAME.values()}),
            **process_features.describe(),
            "cgroup": {"v1": True, "v2": True, "systemd": True, "systemdUser": False, "rdma": True},
            "mountExtensions": {"idmap": {"enabled": True}},
            "netDevices": {"enabled": True},
        },
        "annotations": {"org.pyctr_lite.version": __version__},
        "potentiallyUnsafeConfigAnnotations": [],
    }
