"""A stage: FROM, the triggers of its base, and its instructions, one after the other."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyctr_lite.build import dockerfile as dockerfiles
from pyctr_lite.build import metadata
from pyctr_lite.build.dockerfile import SCRATCH
from pyctr_lite.build.syntax import DockerfileError
from pyctr_lite.engine.build import cache, command, files, layers
from pyctr_lite.engine.build.state import State
from pyctr_lite.errors import PyctrError

if TYPE_CHECKING:
    from pyctr_lite.build.dockerfile import Stage
    from pyctr_lite.build.syntax import Instruction
    from pyctr_lite.engine.build.build import Build
    from pyctr_lite.images.image import Layer

_STEPS: dict[str, Callable[[StageBuilder, Instruction], None]] = {
    "ADD": files.copy,
    "COPY": files.copy,
    "RUN": command.run,
    "WORKDIR": files.workdir,
}
"""The instructions that make a layer."""


class StageBuilder:
    """Builds one stage. `state` is what it has become so far."""

    state: State

    def __init__(self, build: Build, stage: Stage) -> None:
        self.build, self.stage = build, stage
        options = build.options
        self.uses_cache = not options.no_cache and not (stage.name and stage.name in options.no_cache_filter)
        self._number, self._total, self._prefix = 0, 0, ""

    def run(self) -> State:
        """Build the stage and return its state."""
        triggers = self._start()
        for instruction in (*triggers, *self.stage.instructions):
            try:
                if instruction.name in _STEPS:
                    self._prefix = "ONBUILD " if instruction in triggers else ""
                    _STEPS[instruction.name](self, instruction)
                else:
                    self._apply(instruction)
            except DockerfileError as error:
                if instruction in triggers:
                    raise self.stage.start.error(f"ONBUILD {instruction.original}: {error.message}") from error
                raise
            except PyctrError as error:
                where = self.stage.start if instruction in triggers else instruction
                raise where.error(error.message, error.hint) from error
        return self.state

    def _start(self) -> list[Instruction]:
        """Set the state to the base's; return the triggers that it brings."""
        build, start = self.build, self.stage.start
        name = build.base_name(self.stage)
        platform = build.arguments.expand(start, self.stage.platform, build.arguments.globals)
        if platform and platform != build.platform:
            raise start.error(f"cannot build for {platform}: this machine is {build.platform}")
        base = build.dockerfile.find(name, self.stage.index) if name != SCRATCH else None
        self._total = sum(instruction.name in _STEPS for instruction in self.stage.instructions)
        if base is not None:
            self.state = build.state_of(base).copy()
        elif name == SCRATCH:
            self.state = State.of_scratch(build.arguments)
        else:
            self._total += 1
            with build.progress.step(self.title(f"FROM {name}")):
                self.state = State.of_image(build.arguments, build.image(start, name))
        texts = self.state.config.pop("OnBuild", None) or []
        try:
            return [dockerfiles.parse_trigger(text) for text in texts]
        except DockerfileError as error:
            raise start.error(f"ONBUILD of {name}: {error.message}") from None

    def _apply(self, instruction: Instruction) -> None:
        state = self.state
        line = metadata.apply(state.config, state.scope, instruction, state.cmd_set)
        if instruction.name == "CMD":
            state.cmd_set = True
        if instruction.name == "MAINTAINER":
            state.image["author"] = instruction.args[0]
        if line:
            state.add_line(line)

    def title(self, text: str) -> str:
        """Return the title of the next step: `[build 2/5] RUN make`."""
        self._number += 1
        name = self.stage.name or f"stage-{self.stage.index}"
        shown = f"{name} " if len(self.build.dockerfile.stages) > 1 else ""
        width = len(str(self._total))
        return f"[{shown}{self._number:{width}}/{self._total}] {self._prefix}{text}"

    def step(
        self,
        title: str,
        history: str,
        parts: list[Any],
        make: Callable[[Any], str],
        *,
        independent: bool = False,
    ) -> None:
        """Make the layer of a step, or take it from the cache.

        `parts` is what the result depends on, apart from the layers below; `make` gets the report of the step, and
        returns the upper directory. An `independent` layer does not depend on the layers below.
        """
        build, below = self.build, self.state.layers
        key = cache.key("" if independent else layers.chain_id(below), build.epoch, *parts)
        with build.progress.step(self.title(title)) as report:
            record = build.cache.find(key) if self.uses_cache else None
            if record is not None:
                report.cached()
                made, created = record.layers, record.created
                result = [*below, *made] if independent else made
            else:
                created = build.now()
                build.session.guard()
                upper = make(report)

                def keep(found: list[Layer]) -> None:
                    shown = found[len(below) :] if independent else found
                    build.cache.write(key, shown, created, f"{title}")

                result = layers.add(build.home, build.staging, below, upper, build.epoch, keep)
        self.state.layers = result
        changed = len(result) > len(below)
        self.state.add_line(history, created if changed else "", empty=not changed)

    def lowers(self) -> list[str]:
        """Return the directories of the layers so far, the top first."""
        return layers.directories(self.build.home, self.state.layers)

    def working_directory(self) -> str:
        """Return the working directory."""
        return os.path.normpath("/" + (self.state.config.get("WorkingDir") or "/").lstrip("/"))
