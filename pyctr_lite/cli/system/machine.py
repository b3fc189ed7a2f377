"""`version`, `info`, `doctor`."""

from __future__ import annotations

import sys

from pyctr_lite.cli.command import output
from pyctr_lite.cli.command.flags import Command, Context, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def print_version(context: Context) -> int:
    """Print the versions. This does not need root."""
    from pyctr_lite.engine.doctor import info

    versions = info.version()
    if context.flags.format:
        return _print_formatted(versions, context.flags.format)
    titles = {"Client": "Client: pyctr_lite", "Server": "\nServer: none, the client is the engine"}
    for side, title in titles.items():
        values = versions[side]
        print(title)
        print(f" {'Version:':<18} {values['Version']}")
        print(f" {'Python version:':<18} {values['PythonVersion']}")
        print(f" {'OS/Arch:':<18} {values['Os']}/{values['Arch']}")
        if "KernelVersion" in values:
            print(f" {'Kernel version:':<18} {values['KernelVersion']}")
            print(f" {'OCI runtime spec:':<18} {values['OciRuntimeSpec']}")
    return 0


def print_info(context: Context) -> int:
    """Print information about this machine and this engine."""
    from pyctr_lite.engine.doctor import info

    values = info.info(context.engine)
    if context.flags.format:
        return _print_formatted(values, context.flags.format, is_info=True)
    print("Client: pyctr_lite", f" Version:    {values['ServerVersion']}", "", "Server:", sep="\n")
    for line in _info_lines(values):
        print(f" {line}")
    sys.stdout.flush()
    for warning in values["Warnings"]:
        print(warning, file=sys.stderr)
    return 0


def _info_lines(values: dict[str, Any]) -> list[str]:
    from pyctr_lite.formats import units

    controllers = values["CgroupControllers"].items()
    return [
        f"Containers: {values['Containers']}",
        f" Running: {values['ContainersRunning']}",
        f" Paused: {values['ContainersPaused']}",
        f" Stopped: {values['ContainersStopped']}",
        f"Images: {values['Images']}",
        f"Volumes: {values['Volumes']}",
        f"Server Version: {values['ServerVersion']}",
        f"Storage Driver: {values['Driver']}",
        *(f" {name}: {value}" for name, value in values["DriverStatus"]),
        f"Logging Driver: {values['LoggingDriver']}",
        f"Cgroup Driver: {values['CgroupDriver']}",
        f"Cgroup Version: {values['CgroupVersion']}" + " (hybrid)" * (values["CgroupKind"] == "hybrid"),
        *(
            f" v{number}: {' '.join(names)}"
            for number in (1, 2)
            if (names := [name for name, version_ in controllers if version_ == number])
        ),
        f"Default Runtime: {values['DefaultRuntime']}",
        f"Init Binary: {values['InitBinary'] or 'none'}",
        f"Kernel Version: {values['KernelVersion']}",
        f"Operating System: {values['OperatingSystem']}",
        f"OSType: {values['OSType']}",
        f"Architecture: {values['Architecture']}",
        f"CPUs: {values['NCPU']}",
        f"Total Memory: {units.human_bytes(values['MemTotal'])}",
        f"Name: {values['Name']}",
        f"Docker Root Dir: {values['DockerRootDir']}",
        f"Run Dir: {values['RunDir']}",
    ]


def examine_machine(context: Context) -> int:
    """Report the features that this machine has and lacks. With --fix, first remove leftovers."""
    from pyctr_lite.engine.doctor import examine
    from pyctr_lite.engine.engine import Engine

    flags = context.flags
    engine = context.engine if flags.fix else Engine(context.root)
    code = _remove_leftovers(context) if flags.fix else 0
    findings = examine.examine(engine)
    missing = [finding for finding in findings if finding.needed and not finding.ok]
    if flags.json:
        output.show_json([_as_json(finding) for finding in findings], 4)
        return 1 if missing else code
    width = max(len(finding.name) for finding in findings)
    area = ""
    for finding in findings:
        if finding.area != area:
            area = finding.area
            print(area)
        print(f"  {'✓' if finding.ok else '✗'} {finding.name:<{width}}  {_describe(finding)}")
    optional = [finding.name for finding in findings if not finding.ok and not finding.needed]
    print()
    if missing:
        print(f"Not ready: {', '.join(finding.name for finding in missing)}")
    else:
        print("Ready" + (f", without {', '.join(optional)}" if optional else ""))
    return 1 if missing else code


def _describe(finding: Any) -> str:
    if finding.ok:
        return str(finding.text)
    return f"{finding.text}{'' if finding.needed else ' (optional)'} → {finding.fix}"


def _as_json(finding: Any) -> dict[str, Any]:
    return {
        "Area": finding.area,
        "Name": finding.name,
        "Ok": finding.ok,
        "Needed": finding.needed,
        "Text": finding.text,
        "Fix": "" if finding.ok else finding.fix,
    }


def _remove_leftovers(context: Context) -> int:
    """Remove leftovers. Returns 1 if one could not be removed.

    They are reported on stderr, so that stdout stays JSON with --json.
    """
    from pyctr_lite.cli.screen import for_each
    from pyctr_lite.engine import leftovers
    from pyctr_lite.errors import PyctrError

    code = 0
    for leftover in leftovers.find(context.engine):
        try:
            leftover.remove()
        except FileNotFoundError:
            continue  # another process was faster
        except (PyctrError, OSError) as error:
            for_each.report_failure(context, error)
            code = 1
        else:
            print(f"removed {leftover.kind} {leftover.path}", file=sys.stderr)
    return code


def _print_formatted(document: dict[str, Any], form: str, *, is_info: bool = False) -> int:
    from pyctr_lite.cli.gotemplate import template, types, values

    if form == "json":
        output.show_json(document)
    else:
        data = values.as_go(document, known=types.INFO if is_info else None)
        output.styled(template.from_flag(form).render(data) + "\n")
    return 0


_FORMAT = Option("format", "string", "Format output: 'json' or a Go template", short="f")

COMMANDS = {
    "version": Command(
        "version",
        "",
        "Show the version information",
        (_FORMAT,),
        action=print_version,
        example="pyctr_lite version --format '{{.Server.KernelVersion}}'",
    ),
    "info": Command(
        "info",
        "",
        "Display system-wide information",
        (_FORMAT,),
        action=print_info,
        aliases=("system info",),
        example="pyctr_lite info --format '{{.CgroupDriver}} {{.CgroupVersion}}'",
        differs="CgroupVersion is 1 on a hybrid machine; CgroupControllers has the version of each controller.",
    ),
    "doctor": Command(
        "doctor",
        "",
        "Report which features of containers this machine supports",
        (
            Option("fix", "bool", "Remove leftovers of killed processes: cgroups, mounts, directories, names"),
            Option("json", "bool", "Print the report as JSON"),
        ),
        action=examine_machine,
        example="pyctr_lite doctor --fix",
        differs="Docker does not have this command.",
    ),
}
