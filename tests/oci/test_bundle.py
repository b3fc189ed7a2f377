"""What a bundle may ask for, seen from inside its container."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.oci.conftest import Oci


def test_the_configuration_may_have_another_name(oci: Oci) -> None:
    oci.write("echo", "usual")
    (oci.bundle / "other").mkdir()
    oci.config["process"]["args"] = ["echo", "other"]
    (oci.bundle / "other/config.json").write_text(json.dumps(oci.config))
    assert oci("run", "-b", oci.bundle, "box").stdout == "usual\n"
    assert oci("run", "-b", oci.bundle, "--config", "other/config.json", "box").stdout == "other\n"
    assert "none.json is missing" in oci("run", "-b", oci.bundle, "-f", "none.json", "box").stderr


def test_a_network_device_moves_into_the_container(oci: Oci) -> None:
    oci.config["linux"]["netDevices"] = {"box0": {"name": "eth9"}}
    oci.write("ls", "/sys/class/net")
    assert "box0 does not exist" in oci("run", "-b", oci.bundle, "box").stderr
    program = f"""
import os
from pyctr_lite import linux
from pyctr_lite.linux import netlink
from pyctr_lite.networks import link
linux.unshare(linux.CLONE_NEWNET)
link.add_veth(netlink.Socket(), "box0", 0, os.getpid(), "box1", "")
arguments = {oci.command("run", "-b", oci.bundle, "box")!r}
os.execv(arguments[0], arguments)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["eth9", "lo"]
    oci.config["linux"]["namespaces"] = [{"type": kind} for kind in ("mount", "pid")]
    oci.write(hostname="")
    assert "netDevices need a network namespace" in oci("run", "-b", oci.bundle, "box").stderr


def test_device_rules_never_hide_what_the_runtime_opens_itself(oci: Oci) -> None:
    rules = [{"allow": True, "type": "c", "major": 200, "minor": n, "access": "r"} for n in range(400)]
    oci.config["process"]["terminal"] = True
    oci.config["linux"]["resources"] = {"devices": [{"allow": False, "access": "rwm"}, *rules]}
    oci.write("echo", "made /dev/console while the kernel was told the rules")
    assert oci("run", "-b", oci.bundle, "box").stdout.startswith("made"), "the rules for /dev/ptmx come last"
