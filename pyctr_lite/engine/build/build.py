"""A build: the stages that its target needs, in order, and the image that the target becomes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from pyctr_lite.build import dockerfile as dockerfiles
from pyctr_lite.build import scope
from pyctr_lite.build.dockerfile import SCRATCH
from pyctr_lite.build.patterns import Exclusions
from pyctr_lite.build.syntax import DockerfileError
from pyctr_lite.build.tree import Tree
from pyctr_lite.commit import config as image_config
from pyctr_lite.engine.build import cache, context, layers, session, stage
from pyctr_lite.engine.build.progress import Progress
from pyctr_lite.engine.build.state import State
from pyctr_lite.engine.events import writer as events
from pyctr_lite.errors import InvalidArgument, NotFound, PyctrError
from pyctr_lite.formats import number, timestamps
from pyctr_lite.images import descriptors, platforms, writer

if TYPE_CHECKING:
    from pyctr_lite.build.dockerfile import Stage
    from pyctr_lite.build.syntax import Instruction
    from pyctr_lite.engine.build.options import BuildOptions
    from pyctr_lite.engine.home import Home
    from pyctr_lite.images.image import Image, Layer


class BuildError(PyctrError):
    """An error of a build at lines of the Dockerfile, which `excerpt` shows. `name` is the Dockerfile's."""

    def __init__(self, error: PyctrError, name: str, first: int, excerpt: str) -> None:
        super().__init__(error.message, error.hint)
        self.name, self.first, self.excerpt = name, first, excerpt


class Build:
    """A build that runs: what its stages share."""

    def __init__(self, home: Home, options: BuildOptions, progress: Progress, stack: ExitStack) -> None:
        self.home, self.options, self.progress = home, options, progress
        for tag in options.tags:
            writer.parse_name(tag)
        self.session = stack.enter_context(session.Session(home))
        self.staging = stack.enter_context(home.images.staging())
        name = os.path.basename(options.dockerfile.strip(context.STDIN) or "Dockerfile")
        with progress.step(f"[internal] load build definition from {name}"):
            self.context = stack.enter_context(
                context.opened(home, self.staging, options.context, options.dockerfile)
            )
        self.cache = cache.Cache(home)
        try:
            self.dockerfile = dockerfiles.parse(self.context.dockerfile)
        except DockerfileError as error:
            raise self.located(error, self.context.dockerfile) from None
        for warning in self.dockerfile.warnings:
            progress.warn(warning)
        self.platform = _platform(options.platform)
        self.arguments = scope.Arguments(
            options.build_args,
            scope.platform_arguments(self.platform, options.target),
            self.dockerfile.escape,
        )
        self.epoch = self._epoch()
        self._states: dict[int, State] = {}
        self._images: dict[str, Image] = {}

    def _epoch(self) -> int | None:
        given = self.options.build_args.get(scope.SOURCE_DATE_EPOCH) or ""
        if not given:
            return None
        if not number.is_whole(given, timestamps.MAX_SECOND):
            raise InvalidArgument(f"SOURCE_DATE_EPOCH={given}: it must be a number of seconds since 1970")
        return int(given)

    def now(self) -> str:
        """Return the time of a layer that is made now, or that of SOURCE_DATE_EPOCH, in RFC 3339."""
        return image_config.created_now() if self.epoch is None else timestamps.format_seconds(self.epoch)

    def run(self) -> State:
        """Build the target and return its state. Raises BuildError."""
        try:
            for instruction in self.dockerfile.arguments:
                self.arguments.declare_global(instruction)
            state = self.state_of(self.dockerfile.target(self.options.target))
        except DockerfileError as error:
            raise self.located(error, self.dockerfile.text) from error
        unused = self.arguments.unused()
        if unused:
            self.progress.warn(f"One or more build-args [{' '.join(unused)}] were not consumed")
        state.config["Labels"] = {**(state.config.get("Labels") or {}), **self.options.labels}
        return state

    def located(self, error: DockerfileError, text: str) -> PyctrError:
        """Return an error with the lines of the Dockerfile around it."""
        if not error.first:
            return error
        excerpt = dockerfiles.Dockerfile(text, [], [], "", []).excerpt(error.first, error.last)
        return BuildError(error, self.context.name, error.first, excerpt)

    def state_of(self, stage_: Stage) -> State:
        """Build a stage, after those it needs, and return its state at the end."""
        if stage_.index not in self._states:
            for needed in self._needs(stage_):
                self.state_of(needed)
            self._states[stage_.index] = stage.StageBuilder(self, stage_).run()
        return self._states[stage_.index]

    def _needs(self, stage_: Stage) -> list[Stage]:
        """Return the stages that a stage names: its base, and the sources of its COPY and RUN."""
        names = [self.base_name(stage_)]
        for instruction in stage_.instructions:
            names.append(instruction.flag("from"))
            for mount in instruction.flags.get("mount", []):
                names += [field[5:] for field in mount.split(",") if field.startswith("from=")]
        found = [self.dockerfile.find(name, stage_.index) for name in names if name]
        return [needed for needed in found if needed is not None]

    def base_name(self, stage_: Stage) -> str:
        """Return the name in FROM, with its variables put in."""
        name = self.arguments.expand(stage_.start, stage_.base, self.arguments.globals)
        if not name:
            raise stage_.start.error(f"base name ({stage_.base}) should not be blank", "give a --build-arg for it")
        return name

    def image(self, instruction: Instruction, name: str) -> Image:
        """Return an image by its name, and keep it until the build ends. It is pulled if it is missing.

        Raises DockerfileError.
        """
        if name not in self._images:
            try:
                found = self._find_image(name)
            except PyctrError as error:
                raise instruction.error(f"{name}: {error.message}", error.hint) from None
            self.session.keep(found.layers)
            self._images[name] = found
        return self._images[name]

    def _find_image(self, name: str) -> Image:
        images = self.home.images
        is_id = descriptors.is_hex(name.removeprefix("sha256:"))
        if not self.options.pull or is_id:
            try:
                return images.get(name)
            except NotFound:
                if is_id:
                    raise
        with self.progress.step(f"[internal] pull {name}"):
            return images.pull(name).image

    def layers_of(self, instruction: Instruction, name: str, before: Stage) -> list[Layer]:
        """Return the layers of the stage or image of a `from`, bottom first. Raises DockerfileError."""
        found = self.dockerfile.find(name, before.index)
        if found is not None:
            return self.state_of(found).layers
        if number.is_digits(name):
            raise instruction.error(f"invalid stage index {name}", "stages are counted from 0")
        later = self.dockerfile.find(name, len(self.dockerfile.stages))
        if later is not None:
            raise instruction.error(f'cannot copy from stage "{name}", it needs to be defined before this stage')
        return [] if name == SCRATCH else list(self.image(instruction, name).layers)

    @contextmanager
    def source(self, instruction: Instruction, name: str, before: Stage) -> Iterator[Tree]:
        """Open the tree that `from` names, or for "" the context."""
        if not name:
            yield self.context.tree
            return
        directories = layers.directories(self.home, self.layers_of(instruction, name, before))
        with layers.opened(self.home, self.staging, directories) as root:
            yield Tree(root, Exclusions(()), keeps_owners=True, name=name)


def _platform(given: str) -> str:
    ours = f"linux/{platforms.architecture()}"
    if given in ("", ours) or given.startswith(f"{ours}/"):
        return given or ours
    raise InvalidArgument(f"cannot build for {given}: this machine is {ours}", "there is no emulation")


@contextmanager
def running(home: Home, options: BuildOptions, progress: Progress) -> Iterator[tuple[Build, State]]:
    """Run a build, and yield it with the state of its target, whose layers are kept meanwhile."""
    with ExitStack() as stack:
        build = Build(home, options, progress, stack)
        state = build.run()
        build.session.keep(state.layers)
        yield build, state


def image(home: Home, options: BuildOptions, progress: Progress) -> Image:
    """Build an image, add it to the store with its tags, and return it."""
    with running(home, options, progress) as (build, state):
        return add_image(build, state, progress)


def add_image(build: Build, state: State, progress: Progress) -> Image:
    """Add the image of a state to the store, with the tags of the options."""
    tags: Sequence[str] = build.options.tags
    with progress.step("exporting to image") as step:
        config: dict[str, Any] = state.image_config(build.now())
        found = build.home.images.add_image(config, state.layers, tags)
        step.output(f"writing image {found.id}\n".encode())
        for tag in tags:
            step.output(f"naming to {writer.parse_name(tag).canonical()}\n".encode())
    for tag in tags:
        events.emit_image(build.home.paths, "tag", found.id, tag)
    return found
