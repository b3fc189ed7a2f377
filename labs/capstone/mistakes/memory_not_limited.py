"""The pids are limited, the memory is not."""

CHECK = "memory_limit"
HINT = "which file sets it?"
CHANGES = [
    (
        '            if memory is not None and "memory" in mount.controllers:\n',
        '            if memory is not None and "memory" in mount.controllers and mount.version == 3:\n',
    ),
]
