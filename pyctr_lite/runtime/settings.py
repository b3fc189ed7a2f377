"""The settings of one start that are not in the bundle: descriptors, and how to start."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Settings:
    """Settings of one start besides the bundle. The defaults are the engine's.

    `detached`: the launcher exits once the container waits at the gate (`create` of the OCI runtime), and the gate
    alone decides; otherwise the container ends with its launcher. `preserve_fds`: the program gets as many
    descriptors from 3 on as its launcher has them. `pivot` and `new_keyring`: as usual, pivot_root(2) and a
    session keyring of its own. `all_cpus`: the program may run on every CPU that its cgroup allows, not only on
    those of the caller, as with runc 1.2. `state`: the container's state for its hooks (runtime.md, "State").
    """

    __slots__ = ("all_cpus", "detached", "new_keyring", "pivot", "preserve_fds", "state")

    def __init__(
        self,
        *,
        detached: bool = False,
        preserve_fds: int = 0,
        pivot: bool = True,
        new_keyring: bool = True,
        all_cpus: bool = False,
        state: dict[str, Any] | None = None,
    ) -> None:
        self.detached, self.preserve_fds, self.pivot, self.new_keyring = detached, preserve_fds, pivot, new_keyring
        self.all_cpus, self.state = all_cpus, state or {}

    def own_state(self) -> dict[str, Any]:
        """Return the state for a hook that the container's first process calls: with its pid inside, as runc's."""
        return self.state_of(os.getpid())

    def state_of(self, pid: int) -> dict[str, Any]:
        """Return the state for a hook of `create` or `start`.

        It is "created": "creating" ends before the hooks, with step 2 of the spec's lifecycle (so does crun).
        """
        return {**self.state, "status": "created", "pid": pid}


class Stdio:
    """Descriptors 0, 1 and 2 of the program; with `terminal` they become a pty made inside.

    -1 stands for the container's null device. Without `returns` the pty does not turn `\\n` into `\\r\\n`.
    """

    __slots__ = ("columns", "fds", "returns", "rows", "terminal")

    def __init__(
        self, fds: tuple[int, int, int], *, terminal: bool = False, rows: int = 0, columns: int = 0
    ) -> None:
        self.fds, self.terminal, self.rows, self.columns = fds, terminal, rows, columns
        self.returns = True


ENGINE = Settings()
"""The settings of the engine."""
