"""All checks of the capstone, in the order of the handout. If the first fails, no other is run."""

from __future__ import annotations

from labs.kit.capstone import cable, command, ending, files

CHECKS = [
    command.exit_status,
    command.bytes_through,
    command.arguments,
    command.signal_status,
    command.missing_command,
    command.clean_start,
    command.signals,
    command.first_process,
    command.namespaces,
    command.loopback,
    files.layers_merged,
    files.fresh_upper,
    files.old_root,
    files.host_mounts,
    files.volume,
    files.readonly_volume,
    files.link_to_the_host,
    files.command_of_the_image,
    ending.memory_limit,
    ending.pids_limit,
    ending.limits_from_the_start,
    ending.nothing_after_the_end,
    ending.terminated,
    ending.usage,
    ending.two_at_once,
    cable.cable,
]
