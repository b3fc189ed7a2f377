"""A stage: FROM, the triggers of its base, and its instructions.

A stage is planned before any step of the build runs: its instructions are applied to the config one after the
other, variables are put in, and every step is checked, so that a mistake in the last line costs no time. Then its
steps run. A plan does not need layers: what depends on them, as the id of a user name, is found when a step runs.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from pyctr_lite.build import checks, metadata
from pyctr_lite.build.dockerfile import SCRATCH
from pyctr_lite.build.syntax import DockerfileError
from pyctr_lite.engine.build import cache, command, files, inline, layers
from pyctr_lite.engine.build.state import State
from pyctr_lite.errors import PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from pyctr_lite.build.dockerfile import Stage
    from pyctr_lite.build.syntax import Instruction
    from pyctr_lite.engine.build.build import Build
    from pyctr_lite.engine.build.planned import Planned
    from pyctr_lite.engine.build.progress import Step
    from pyctr_lite.images.image import Image, Layer


_STEPS: dict[str, Callable[[StageBuilder, Instruction], Planned]] = {
    "ADD": files.plan_copy,
    "COPY": files.plan_copy,
    "RUN": command.plan,
    "WORKDIR": files.plan_workdir,
}
"""The instructions that make a layer."""


class StageBuilder:
    """Plans one stage, and builds it. `state` is what it has become so far; it has layers when the steps run."""

    state: State

    def __init__(self, build: Build, stage: Stage) -> None:
        self.build, self.stage = build, stage
        self.uses_cache = not build.options.no_cache and not (stage.name and stage.name in build.uncached)
        self._base: State | Image
        self._number, self._total = 0, 0
        self._steps: list[tuple[Instruction, bool, Planned, dict[str, Any]]] = []

    def plan(self) -> None:
        """Apply the instructions to the config, and check all steps. Raises DockerfileError."""
        triggers = self._start()
        for instruction, is_trigger in [
            *((trigger, True) for trigger in triggers),
            *((instruction, False) for instruction in self.stage.instructions),
        ]:
            with self._located(instruction, is_trigger):
                if instruction.name in _STEPS:
                    planned = _STEPS[instruction.name](self, instruction)
                    planned.title = self._title(("ONBUILD " if is_trigger else "") + planned.title)
                    entry = self.state.add_line(planned.history, empty=False)
                    self._steps.append((instruction, is_trigger, planned, entry))
                else:
                    self._apply(instruction)

    def run(self) -> None:
        """Run the steps. Raises DockerfileError."""
        self.state.layers = list(self._base.layers)
        self.state.steps = list(self._base.steps) if isinstance(self._base, State) else []
        if self._pulled:
            with self.build.progress.step(self._pulled):
                pass
        for instruction, is_trigger, planned, entry in self._steps:
            with self._located(instruction, is_trigger), self.build.progress.step(planned.title) as report:
                created = planned.run(report)
            entry |= {"created": created} if created else {"empty_layer": True}

    @contextmanager
    def _located(self, instruction: Instruction, is_trigger: bool) -> Iterator[None]:
        """Give errors the lines of their instruction; the FROM brings those of a trigger."""
        try:
            yield
        except DockerfileError as error:
            if is_trigger:
                message = f"ONBUILD {instruction.original}: {error.message}"
                raise self.stage.start.error(message, error.hint) from error
            raise
        except PyctrError as error:
            where = self.stage.start if is_trigger else instruction
            raise where.error(error.message, error.hint) from error

    def _start(self) -> list[Instruction]:
        """Set the state to the base's; return the triggers that it brings."""
        build, start = self.build, self.stage.start
        name = build.base_name(self.stage)
        self._check_platform()
        base = build.dockerfile.find_named(name, self.stage.index) if name != SCRATCH else None
        self._total = sum(instruction.name in _STEPS for instruction in self.stage.instructions)
        self._pulled = ""
        if base is not None:
            self._base = build.planned(base).state
            self.state = self._base.copy()
        elif name == SCRATCH:
            self._base = self.state = State.of_scratch(build.arguments)
        else:
            self._base = build.image(start, name)
            self.state = State.of_image(build.arguments, self._base)
        texts = self.state.config.pop("OnBuild", None) or []
        is_image = base is None and name != SCRATCH
        self._total += is_image + len(texts)  # BuildKit counts all triggers, also those that are not steps
        if is_image:
            self._pulled = self._title(f"FROM {name}")
        try:
            return [checks.parse_trigger(text) for text in texts]
        except DockerfileError as error:
            raise start.error(f"ONBUILD of {name}: {error.message}", error.hint) from None

    def _check_platform(self) -> None:
        build, start = self.build, self.stage.start
        given = build.arguments.expand(start, self.stage.platform, build.arguments.globals)
        with self._located(start, False):
            build.check_platform(given)

    def _apply(self, instruction: Instruction) -> None:
        state = self.state
        line = metadata.apply(state.config, state.scope, instruction, state.cmd_set)
        if instruction.name == "CMD":
            state.cmd_set = True
        if instruction.name == "MAINTAINER":
            state.image["author"] = instruction.args[0]
        if line:
            state.add_line(line)

    def _title(self, text: str) -> str:
        """Return the title of the next step: `[build 2/5] RUN make`."""
        self._number += 1
        name = self.stage.name or f"stage-{self.stage.index}"
        shown = f"{name} " if len(self.build.dockerfile.stages) > 1 else ""
        width = len(str(self._total))
        return f"[{shown}{self._number:{width}}/{self._total}] {text}"

    def layer(
        self,
        report: Step,
        title: str,
        parts: list[Any],
        make: Callable[[], str],
        *,
        independent: bool = False,
    ) -> str:
        """Make the layer of a step, or take it from the cache; return its time, "" for none.

        `parts` is what the result depends on, apart from the layers below; `make` returns the upper directory. An
        `independent` layer does not depend on the layers below. The cache shows `title`.
        """
        build, below = self.build, self.state.layers
        key = self._key(parts, independent=independent)
        record, imported = self._find(key)
        found = record or imported
        created = found.created if found is not None else build.now()

        def keep(result: list[Layer]) -> None:
            shown = result[len(below) :] if independent else result
            size = result[-1].size if len(result) > len(below) else 0
            build.cache.write(key, shown, created, title, size)

        if found is not None:
            report.cached()
            result = [*below, *found.layers] if independent else found.layers
            if imported is not None:
                keep(result)
        else:
            build.session.guard()
            result = layers.add(build.home, build.staging, below, make(), build.epoch, keep)
        self.state.layers = result
        if len(result) == len(below):
            return ""
        self.state.steps.append(inline.member(key, len(below) if independent else 0, len(result), created))
        return created

    def is_cached(self, parts: list[Any], *, independent: bool = False) -> bool:
        """Return whether `layer` would take the layer of a step from the cache."""
        return any(self._find(self._key(parts, independent=independent)))

    def _key(self, parts: list[Any], *, independent: bool) -> str:
        below = "" if independent else layers.chain_id(self.state.layers)
        return cache.key(below, self.build.epoch, *parts)

    def _find(self, key: str) -> tuple[cache.Record | None, inline.Found | None]:
        """Return the record of a key in the cache, or else that of an image of --cache-from."""
        record = self.build.cache.find(key) if self.uses_cache else None
        return record, self.build.imported.find(key) if self.uses_cache and record is None else None

    def lowers(self) -> list[str]:
        """Return the directories of the layers so far, the top first."""
        return layers.directories(self.build.home, self.state.layers)

    def working_directory(self) -> str:
        """Return the working directory."""
        return os.path.normpath("/" + (self.state.config.get("WorkingDir") or "/").lstrip("/"))
