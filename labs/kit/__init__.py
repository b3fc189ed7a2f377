"""The labs' machinery: it finds a learner's functions, puts them into the runtime, checks and grades them."""

from __future__ import annotations


class Todo(NotImplementedError):
    """An exercise that is not written yet: `raise Todo("3.2")`. It is seen in the source, never by calling."""


class ReferenceCalled(RuntimeError):
    """A learner's function calls the engine's own function that it stands for."""

    def __init__(self, id: str, name: str) -> None:
        super().__init__(f"{id}: this calls the engine's own {name}(): write yours")
