"""--security-opt: what it may say, and the seccomp profile of a file in Docker's format."""

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
"""Taken as they are; the last two say of AppArmor and SELinux what is so here in any case."""


def normalized(texts: list[str]) -> list[str]:
    """The options in the form in which a record keeps them: a file of seccomp is read, and is its content.

    Fails with InvalidArgument for what there is not, or what the file says wrongly.
    """
    options: list[str] = []
    for text in texts:
        # Docker's client takes a colon too, from its first years.
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
                "there are no-new-privileges, seccomp=FILE, seccomp=unconfined, systempaths=unconfined",
            )
    return options


def profile(option: str, capabilities: list[str]) -> jsonfile.RawJson | None:
    """`linux.seccomp` for an option "seccomp=…", None for no filter; `capabilities` are the bounding set's."""
    value = option.removeprefix("seccomp=")
    if value == "unconfined":
        return None
    if value == "builtin":
        return seccomp_profile.default(capabilities)
    return jsonfile.RawJson(jsonfile.dumps(to_oci(jsonfile.loads(value), capabilities, os.uname().machine)))


def to_oci(given: dict[str, Any], capabilities: list[str], machine: str) -> dict[str, Any]:
    """What a profile in Docker's format says for one container (moby/profiles, seccomp/seccomp_linux.go).

    Fails with InvalidArgument where it says two things of one.
    """
    architecture = _GO_ARCHITECTURES.get(machine, machine)
    if given.get("architectures") and given.get("archMap"):
        raise InvalidArgument("seccomp profile: both 'architectures' and 'archMap' are given", "use one of them")
    architectures = list(given.get("architectures") or [])
    native = seccomp_profile.ARCHITECTURES.get(machine, [""])[0]
    for entry in given.get("archMap") or []:
        if entry.get("architecture") == native:
            architectures = [native, *(entry.get("subArchitectures") or [])]
    rules = []
    for rule in given.get("syscalls") or []:
        if rule.get("name") and rule.get("names"):
            raise InvalidArgument("seccomp profile: a rule has both 'name' and 'names'", "use 'names'")
        if _applies(rule, architecture, capabilities):
            kept = {key: rule[key] for key in ("action", "errnoRet", "args") if rule.get(key) is not None}
            rules.append({"names": rule.get("names") or [rule.get("name", "")], **kept})
    top = ("defaultAction", "defaultErrnoRet", "flags", "listenerPath", "listenerMetadata")
    kept = {key: given[key] for key in top if given.get(key) is not None}
    return {**kept, "architectures": architectures, "syscalls": rules}


def _applies(rule: dict[str, Any], architecture: str, capabilities: list[str]) -> bool:
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    return not (
        (includes.get("arches") and architecture not in includes["arches"])
        or not set(includes.get("caps") or []) <= set(capabilities)
        or not _is_kernel(includes.get("minKernel") or "0.0")
        or architecture in (excludes.get("arches") or [])
        or set(excludes.get("caps") or []) & set(capabilities)
        or (excludes.get("minKernel") and _is_kernel(excludes["minKernel"]))
    )


def _is_kernel(least: str) -> bool:
    """Whether the kernel that runs is as new as "5.12"."""
    try:
        major, minor = map(number.whole, least.split("."))
    except ValueError:
        raise InvalidArgument(
            f"seccomp profile: minKernel {least!r} is not a version", 'it is as in "5.12"'
        ) from None
    ours = os.uname().release.replace("-", ".").split(".")
    return (int(ours[0]), int(ours[1])) >= (major, minor)


def _read(path: str) -> str:
    """The content of a profile on one line, checked as far as it can be without compiling it."""
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
        raise InvalidArgument(f"seccomp profile ({path}): no object with a defaultAction")
    if rules is not None and not (isinstance(rules, list) and all(isinstance(rule, dict) for rule in rules)):
        raise InvalidArgument(f"seccomp profile ({path}): syscalls is no list of objects")
    to_oci(value, [], os.uname().machine)
    return jsonfile.dumps(value)
