"""Part of systemd's D-Bus interface on a real bus, by another library than ours: jeepney.

It checks the types of what it is sent, as systemd does, makes scopes around processes in the hierarchies that
systemd manages, ends them, and writes each call as a line of JSON to stdout.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from jeepney import DBusAddress, new_error, new_method_return, new_signal
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection
from jeepney.wrappers import unwrap_msg

from pyctr_lite.cgroups import hierarchy, units
from pyctr_lite.cgroups.group import Group

NAME = "org.freedesktop.systemd1"
MANAGER = DBusAddress("/org/freedesktop/systemd1", NAME, f"{NAME}.Manager")
TYPES = {
    "AllowedCPUs": "ay",
    "AllowedMemoryNodes": "ay",
    "BlockIOAccounting": "b",
    "BlockIOWeight": "t",
    "CPUAccounting": "b",
    "CPUQuotaPerSecUSec": "t",
    "CPUQuotaPeriodUSec": "t",
    "CPUShares": "t",
    "CPUWeight": "t",
    "CollectMode": "s",
    "DefaultDependencies": "b",
    "Delegate": "b",
    "Description": "s",
    "DeviceAllow": "a(ss)",
    "DevicePolicy": "s",
    "IOAccounting": "b",
    "MemoryAccounting": "b",
    "MemoryLimit": "t",
    "MemoryLow": "t",
    "MemoryMax": "t",
    "MemorySwapMax": "t",
    "PIDs": "au",
    "Slice": "s",
    "TasksAccounting": "b",
    "TasksMax": "t",
    "TimeoutStopUSec": "t",
}
scopes: dict[str, Group] = {}


class Refused(Exception):
    """An error that systemd would return: its name, and a text."""


def check(properties: list[tuple[str, tuple[str, Any]]]) -> dict[str, Any]:
    for name, (kind, _) in properties:
        if TYPES.get(name) != kind:
            raise Refused("org.freedesktop.DBus.Error.InvalidArgs", f"{name} has type {kind}")
    return {name: list(value) if isinstance(value, bytes) else value for name, (_, value) in properties}


def managed() -> hierarchy.Hierarchy:
    return hierarchy.Hierarchy(
        [mount for mount in hierarchy.detect().mounts if mount.version == 2 or mount.name == "systemd"]
    )


def start(unit: str, mode: str, properties: list[Any], auxiliary: list[Any]) -> None:
    given = check(properties)
    if unit in scopes or (unit.startswith("failed-") and unit not in forgotten):
        raise Refused(f"{NAME}.UnitExists", f"Unit {unit} was already loaded or has a fragment file.")
    if not given.get("PIDs"):
        raise Refused("org.freedesktop.DBus.Error.InvalidArgs", "the scope has no processes")
    scopes[unit] = group = Group(f"{units.expand_slice(given['Slice'])}/{unit}", managed())
    group.create()
    for pid in given["PIDs"]:
        group.add(pid)


forgotten: set[str] = set()


def stop(unit: str, mode: str) -> None:
    if unit not in scopes:
        raise Refused(f"{NAME}.NoSuchUnit", f"Unit {unit} not loaded.")
    scopes.pop(unit).destroy()


def serve() -> None:
    connection = open_dbus_connection(os.environ["DBUS_SYSTEM_BUS_ADDRESS"])
    unwrap_msg(connection.send_and_get_reply(message_bus.RequestName(NAME)))
    print("ready", flush=True)
    jobs = 0
    while True:
        message = connection.receive()
        fields = {code.name: value for code, value in message.header.fields.items()}
        if "member" not in fields or message.header.message_type.name != "method_call":
            continue
        member, body = fields["member"], message.body
        job = ""
        result = "done"
        try:
            if member == "StartTransientUnit":
                result = "failed" if body[0].startswith("broken-") else "done"
                if result == "done":
                    start(*body)
            elif member == "StopUnit":
                stop(*body)
            elif member == "SetUnitProperties":
                if body[0] not in scopes:
                    raise Refused(f"{NAME}.NoSuchUnit", f"Unit {body[0]} not found.")
                check(body[2])
            elif member == "ResetFailedUnit":
                forgotten.add(body[0])
            if member in ("StartTransientUnit", "StopUnit"):
                jobs += 1
                job = f"/org/freedesktop/systemd1/job/{jobs}"
                # systemd may announce the job's end before it answers the call: the worst case for a client
                signal = new_signal(MANAGER, "JobRemoved", "uoss", (jobs, job, body[0], result))
                connection.send(signal)
            reply = new_method_return(message, "o" if job else None, (job,) if job else ())
        except Refused as error:
            reply = new_error(message, error.args[0], "s", (error.args[1],))
        connection.send(reply)
        values = [list(value) if isinstance(value, bytes) else value for value in body]
        print(json.dumps([member, *values], default=list), flush=True)


if __name__ == "__main__":
    try:
        serve()
    except (ConnectionResetError, KeyboardInterrupt):
        sys.exit(0)
