"""A bundle's config.json: accepted, or refused before anything is done."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyctr_lite.errors import InvalidArgument, NotFound
from pyctr_lite.runtime import bundle, sysctls

MINIMAL: dict[str, Any] = {
    "ociVersion": "1.0.2",
    "process": {"args": ["sh"], "cwd": "/"},
    "root": {"path": "rootfs"},
    "linux": {"namespaces": [{"type": "mount"}]},
}


def load(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> bundle.Bundle:
    config = json.loads(json.dumps(MINIMAL))
    change(config)
    (tmp_path / "config.json").write_text(json.dumps(config))
    return bundle.load(str(tmp_path))


def test_a_minimal_bundle_is_loaded(tmp_path: Path) -> None:
    loaded = load(tmp_path, lambda config: None)
    assert loaded.rootfs == f"{tmp_path}/rootfs"
    assert loaded.namespaces() == (["mount"], {})
    assert loaded.overlay is None


@pytest.mark.parametrize("version", ["1.0.0", "1.0.2-dev", "1.1.0", "1.2.1", "1.3.0"])
def test_versions_1_0_to_1_3_are_supported(tmp_path: Path, version: str) -> None:
    load(tmp_path, lambda config: config.update(ociVersion=version))


def add(*path: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    """Return a function that sets the value at a path of a configuration."""

    def change(config: dict[str, Any]) -> None:
        parent: Any = config
        for name in path[:-1]:
            parent = parent.setdefault(name, {}) if isinstance(parent, dict) else parent[name]
        parent[path[-1]] = value

    return change


def bind(*options: str, user: bool = False, **more: object) -> Callable[[dict[str, Any]], None]:
    """Return a function that adds a bind with these options, and a user namespace if `user`."""

    def change(config: dict[str, Any]) -> None:
        config["mounts"] = [{"destination": "/x", "source": "/", "type": "bind", "options": options, **more}]
        if user:
            maps = [{"containerID": 0, "hostID": 100000, "size": 1}]
            config["linux"] = {"namespaces": [{"type": "mount"}, {"type": "user"}]}
            config["linux"].update(uidMappings=maps, gidMappings=maps)

    return change


def test_a_bind_in_a_user_namespace_is_accepted(tmp_path: Path) -> None:
    load(tmp_path, bind("rbind", "idmap", user=True))
    load(tmp_path, bind("rbind", "rslave", "ridmap", user=True))
    load(tmp_path, bind("rbind", "rshared"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            bind("rbind", user=True, uidMappings=[{}]),
            "mount /x: uidMappings and gidMappings must be given together",
        ),
        (add("ociVersion", value="2.0.0"), "ociVersion '2.0.0' is not supported"),
        (add("ociVersion", value=None), "ociVersion None"),
        (add("process", value={}), "process.args must be"),
        (add("process", "args", value=[]), "process.args must be"),
        (add("process", "args", value="sh"), "process.args must be a non-empty list"),
        (add("process", "cwd", value="tmp"), "process.cwd 'tmp' is not absolute"),
        (add("root", value={}), "root.path is missing"),
        (add("linux", "namespaces", value=[{"type": "mount"}, {"type": "moon"}]), "unknown namespace type 'moon'"),
        (add("linux", "namespaces", value=[{"type": "mount"}] * 2), "namespace mount is given twice"),
        (add("mounts", value=[{"destination": "tmp"}]), "mount tmp: destination 'tmp' is not absolute"),
        (add("linux", "personality", value={"domain": "SOLARIS"}), "invalid personality.domain 'SOLARIS'"),
        (
            add("process", "rlimits", value=[{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]),
            "soft 2 is above hard 1",
        ),
        (add("linux", "rootfsPropagation", value="sideways"), "unknown rootfsPropagation 'sideways'"),
    ],
)
def test_a_bundle_that_cannot_be_run_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        load(tmp_path, change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (add("linux", value={}), "needs a mount namespace of its own"),
        (add("linux", "namespaces", value=[{"type": "pid"}]), "needs a mount namespace of its own"),
        (
            add("linux", "namespaces", value=[{"type": "mount", "path": "/proc/1/ns/mnt"}]),
            "needs a mount namespace of its own",
        ),
        (add("hostname", value="x"), "hostname without a uts namespace would rename the host"),
        (add("domainname", value="x"), "domainname without a uts namespace"),
        (
            add("linux", "sysctl", value={"kernel.core_pattern": "|/x"}),
            "sysctl kernel.core_pattern is not namespaced",
        ),
        (
            add("linux", "sysctl", value={"net.ipv4.ip_forward": "1"}),
            "sysctl net.ipv4.ip_forward needs a network namespace",
        ),
        (add("linux", "timeOffsets", value={"boottime": {"secs": 1}}), "timeOffsets need a time namespace"),
        (
            add("linux", "namespaces", value=[{"type": "mount"}, {"type": "user"}]),
            "needs uidMappings and gidMappings",
        ),
        (bind("rbind", "rshared", user=True), "cannot propagate to the host"),
        (bind("rbind", "idmap"), "idmap needs a user namespace"),
    ],
)
def test_a_bundle_that_would_change_the_host_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        load(tmp_path, change)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("net.ipv4.ip_forward", "network"),
        ("net/ipv4/conf/eth0.1/forwarding", "network"),
        ("kernel.shmmax", "ipc"),
        ("kernel.msgmnb", "ipc"),
        ("fs.mqueue.msg_max", "ipc"),
        ("kernel.domainname", "uts"),
        ("kernel.hostname", ""),
        ("user.max_user_namespaces", "user"),
        ("kernel.core_pattern", ""),
        ("vm.swappiness", ""),
        ("fs.file-max", ""),
        ("net/../kernel/core_pattern", ""),
    ],
)
def test_a_sysctl_belongs_to_a_namespace(name: str, kind: str) -> None:
    assert sysctls.namespace(name) == kind


def test_a_missing_or_malformed_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=f"no bundle at {tmp_path}"):
        bundle.load(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InvalidArgument, match=r"config\.json"):
        bundle.load(str(tmp_path))
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(InvalidArgument, match="must be an object"):
        bundle.load(str(tmp_path))
    assert os.listdir(tmp_path) == ["config.json"]
