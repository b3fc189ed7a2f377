"""`--security-opt`, and seccomp profiles in Docker's format."""

from __future__ import annotations

import os

from pyctr_lite import jsonfile
from pyctr_lite.engine.bundle import seccomp_profile
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PLAIN = ("systempaths=unconfined", "apparmor=unconfined", "label=disable")
"""Kept as they are. The last two have no effect: the engine uses neither AppArmor nor SELinux."""


def normalized(texts: list[str]) -> list[str]:
    """Return the options in the form that a record keeps: seccomp=FILE becomes the content of the file.

    Raises InvalidArgument for an unknown option or a wrong seccomp profile.
    """
    options: list[str] = []
    for text in texts:
        # Docker's client still accepts a colon, its old separator.
        name, _, value = text.partition(":" if "=" not in text else "=")
        value = value or ("true" if text == "no-new-privileges" else "")
        if name == "no-new-privileges" and value in ("true", "false"):
            options = [option for option in options if option != name] + [name] * (value == "true")
        elif name == "seccomp" and value in ("unconfined", "builtin"):
            options.append(f"{name}={value}")
        elif name == "seccomp" and value:
            options.append(f"{name}={_read(value)}")
        elif f"{name}={value}" in _PLAIN:
            options.append(f"{name}={value}")
        else:
            raise InvalidArgument(
                f"invalid --security-opt: {text!r}",
                "supported: no-new-privileges, seccomp=FILE, seccomp=unconfined, systempaths=unconfined",
            )
    return options


def profile(option: str, capabilities: list[str]) -> jsonfile.RawJson | None:
    """Return `linux.seccomp` for an option "seccomp=…", None for no filter. `capabilities` is the bounding set."""
    value = option.removeprefix("seccomp=")
    if value == "unconfined":
        return None
    if value == "builtin":
        return seccomp_profile.default(capabilities)
    return jsonfile.RawJson(jsonfile.dumps(to_oci(jsonfile.loads(value), capabilities, os.uname().machine)))


def to_oci(source: dict[str, Any], capabilities: list[str], machine: str) -> dict[str, Any]:
    """Convert a profile in Docker's format to `linux.seccomp` (moby/profiles, seccomp/seccomp_linux.go).

    Raises InvalidArgument if the profile contradicts itself.
    """
    architecture = _GO_ARCHITECTURES.get(machine, machine)
    if source.get("architectures") and source.get("archMap"):
        raise InvalidArgument("seccomp profile: it has both 'architectures' and 'archMap'", "use one of them")
    architectures = list(source.get("architectures") or [])
    native = seccomp_profile.ARCHITECTURES.get(machine, [""])[0]
    for entry in source.get("archMap") or []:
        if entry.get("architecture") == native:
            architectures = [native, *(entry.get("subArchitectures") or [])]
    rules = []
    for rule in source.get("syscalls") or []:
        if rule.get("name") and rule.get("names"):
            raise InvalidArgument("seccomp profile: a rule has both 'name' and 'names'", "use 'names'")
        if _applies(rule, architecture, capabilities):
            kept = {key: rule[key] for key in ("action", "errnoRet", "args") if rule.get(key) is not None}
            rules.append({"names": rule.get("names") or [rule.get("name", "")], **kept})
    top = ("defaultAction", "defaultErrnoRet", "flags", "listenerPath", "listenerMetadata")
    kept = {key: source[key] for key in top if source.get(key) is not None}
    return {**kept, "architectures": architectures, "syscalls": rules}


def _applies(rule: dict[str, Any], architecture: str, capabilities: list[str]) -> bool:
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    return not (
        (includes.get("arches") and architecture not in includes["arches"])
        or not set(includes.get("caps") or []) <= set(capabilities)
        or not _kernel_is_at_least(includes.get("minKernel") or "0.0")
        or architecture in (excludes.get("arches") or [])
        or set(excludes.get("caps") or []) & set(capabilities)
        or (excludes.get("minKernel") and _kernel_is_at_least(excludes["minKernel"]))
    )


def _kernel_is_at_least(version: str) -> bool:
    """Return whether the running kernel has at least a version such as "5.12". Raises InvalidArgument."""
    try:
        major, minor = map(number.whole, version.split("."))
    except ValueError:
        raise InvalidArgument(
            f"seccomp profile: minKernel {version!r} is not a version", 'write it as in "5.12"'
        ) from None
    running = os.uname().release.replace("-", ".").split(".")
    return (int(running[0]), int(running[1])) >= (major, minor)


def _read(path: str) -> str:
    """Read a profile, check its structure, and return it as JSON on one line. Raises InvalidArgument."""
    try:
        with open(path, errors="surrogateescape") as file:
            value = jsonfile.loads(file.read())
    except OSError as error:
        raise InvalidArgument(
            f"opening seccomp profile ({path}) failed: {os.strerror(error.errno or 0).lower()}"
        ) from None
    except ValueError as error:
        raise InvalidArgument(f"seccomp profile ({path}): {error}") from None
    rules = value.get("syscalls") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(value.get("defaultAction"), str):
        raise InvalidArgument(f"seccomp profile ({path}): it must be an object with a defaultAction")
    if rules is not None and not (isinstance(rules, list) and all(isinstance(rule, dict) for rule in rules)):
        raise InvalidArgument(f"seccomp profile ({path}): syscalls must be a list of objects")
    to_oci(value, [], os.uname().machine)
    return jsonfile.dumps(value)
