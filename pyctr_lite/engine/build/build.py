"""A build: the stages that its target needs, in order, and the image that the target becomes."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pyctr_lite.build import checksum, scope
from pyctr_lite.build import dockerfile as dockerfiles
from pyctr_lite.build import mounts as mount_grammar
from pyctr_lite.build.dockerfile import SCRATCH
from pyctr_lite.build.patterns import Exclusions
from pyctr_lite.build.syntax import DockerfileError
from pyctr_lite.build.tree import Tree
from pyctr_lite.commit import config as image_config
from pyctr_lite.engine.build import cache, context, inline, layers, mounts, session, stage, values
from pyctr_lite.engine.build.progress import Progress
from pyctr_lite.engine.build.state import State
from pyctr_lite.engine.creation import check
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.state.options import ContainerOptions, check_types
from pyctr_lite.errors import InvalidArgument, NotFound, PyctrError
from pyctr_lite.formats import number, timestamps
from pyctr_lite.images import descriptors, platforms, writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from pyctr_lite.build.dockerfile import Stage
    from pyctr_lite.build.syntax import Instruction
    from pyctr_lite.engine.build.options import BuildOptions
    from pyctr_lite.engine.build.stage import StageBuilder
    from pyctr_lite.engine.home import Home
    from pyctr_lite.images.image import Image, Layer


class BuildError(PyctrError):
    """An error of a build at lines of the Dockerfile, which `excerpt` shows. `name` is the Dockerfile's."""

    def __init__(self, error: PyctrError, name: str, first: int, excerpt: str) -> None:
        super().__init__(error.message, error.hint)
        self.name, self.first, self.excerpt = name, first, excerpt


@dataclass
class Origin:
    """The stage or image that a `from` names. A stage has its layers when its steps have run."""

    name: str
    _holder: State | Image

    @property
    def layers(self) -> list[Layer]:
        """The layers, bottom first."""
        return self._holder.layers


class Build:
    """A build that runs: what its stages share."""

    def __init__(self, home: Home, options: BuildOptions, progress: Progress, stack: ExitStack) -> None:
        self.home, self.options, self.progress = home, options, progress
        self._check_options()
        self.session = stack.enter_context(session.Session(home))
        self.staging = stack.enter_context(home.images.staging())
        name = os.path.basename(options.dockerfile.strip(context.STDIN) or "Dockerfile")
        with progress.step(f"[internal] load build definition from {name}"):
            self.context = stack.enter_context(
                context.opened(home, self.staging, options.context, options.dockerfile)
            )
        self.cache = cache.Cache(home)
        self.imported = inline.Inline()
        try:
            self.dockerfile = dockerfiles.parse(self.context.dockerfile)
        except DockerfileError as error:
            raise self.located(error, self.context.dockerfile) from None
        for warning in self.dockerfile.warnings:
            progress.warn(warning)
        self.arguments = scope.Arguments(
            options.build_args,
            scope.platform_arguments(self.platform, options.target or self.dockerfile.stages[-1].name),
            self.dockerfile.escape,
        )
        self._stages: dict[int, StageBuilder] = {}
        """The planned stages: each after those that it needs."""
        self._images: dict[str, Image] = {}

    def _check_options(self) -> None:
        """Check the options, and parse their values. Raises InvalidArgument and NotFound."""
        options = self.options
        check_types(options)
        check.validate(ContainerOptions(**options.of_run()))
        for tag in options.tags:
            writer.parse_name(tag)
        for name in options.allow:
            values.check_entitlement(name)
        self.platform = _platform(options.platform)
        self.secrets = dict(values.secret(text) for text in options.secrets)
        self.agents = dict(values.agent(text) for text in options.ssh)
        mounts.check_sources(self.secrets, self.agents)
        self.cache_images = [values.cache_source(text) for text in options.cache_from]
        self.uncached = [name for text in options.no_cache_filter for name in text.lower().split(",")]
        self.inline_cache = values.has_inline_cache(options.cache_to, options.build_args)

    def _epoch(self) -> int | None:
        """Return the seconds of SOURCE_DATE_EPOCH: a build argument, or the default of an ARG before FROM."""
        name = scope.SOURCE_DATE_EPOCH
        given = self.options.build_args.get(name) or self.arguments.globals.get(name)
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
            self.epoch = self._epoch()
            target = self.dockerfile.target(self.options.target)
            for needed in self._needed(target):
                self.planned(needed)
            self._import_caches()
            for builder in self._stages.values():
                builder.run()
        except DockerfileError as error:
            raise self.located(error, self.dockerfile.text) from error
        state = self.planned(target).state
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

    def planned(self, stage_: Stage) -> StageBuilder:
        """Return the plan of a stage, after the plans of the stages that it names. Raises DockerfileError."""
        if stage_.index not in self._stages:
            builder = stage.StageBuilder(self, stage_)
            builder.plan()
            self._stages[stage_.index] = builder
        return self._stages[stage_.index]

    def _needed(self, target: Stage) -> list[Stage]:
        """Return the stages that a target needs, in their order, with the target at the end."""
        needed = {target.index}
        for stage_ in reversed(self.dockerfile.stages[: target.index + 1]):
            if stage_.index in needed:  # a stage names earlier ones only
                found = [self.dockerfile.find(name, stage_.index) for name in self._names(stage_) if name]
                needed |= {it.index for it in found if it is not None}
        return [self.dockerfile.stages[index] for index in sorted(needed)]

    def _names(self, stage_: Stage) -> list[str]:
        """Return the names in a stage that can be those of stages: its base, and the sources of COPY and RUN."""
        names = [self.base_name(stage_)]
        for instruction in stage_.instructions:
            names.append(instruction.flag("from"))
            names += [mount_grammar.origin(text) for text in instruction.flags.get("mount", [])]
        return names

    def base_name(self, stage_: Stage) -> str:
        """Return the name in FROM, with its variables put in."""
        name = self.arguments.expand(stage_.start, stage_.base, self.arguments.globals)
        if not name:
            raise stage_.start.error(f"base name ({stage_.base}) should not be blank", "give a --build-arg for it")
        return name

    def _import_caches(self) -> None:
        """Find the images of --cache-from, and their steps. A missing image is a warning, as in BuildKit."""
        for name in self.cache_images:
            try:
                found = self._find_image(name)
            except PyctrError as error:
                self.progress.warn(f"the cache of {name} is not available: {error.message}")
                continue
            self.session.keep(found.layers)
            if not self.imported.add(found):
                self.progress.warn(f"{name} has no cache of builds: make it with --cache-to type=inline")

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

    def origin(self, instruction: Instruction, name: str, before: Stage) -> Origin | None:
        """Return what a `from` names, None for "". Raises DockerfileError."""
        if not name:
            return None
        found = self.dockerfile.find(name, before.index)
        if found is not None:
            return Origin(name, self.planned(found).state)
        if number.is_digits(name):
            raise instruction.error(f"invalid stage index {name}", "stages are counted from 0")
        later = self.dockerfile.find(name, len(self.dockerfile.stages))
        if later is not None:
            raise instruction.error(f'cannot copy from stage "{name}", it needs to be defined before this stage')
        if name == SCRATCH:
            return Origin(name, State.of_scratch(self.arguments))
        return Origin(name, self.image(instruction, name))

    @contextmanager
    def source(self, origin: Origin | None) -> Iterator[Tree]:
        """Open the tree of a `from`, or that of the context."""
        if origin is None:
            yield self.context.tree
            return
        with layers.opened(self.home, self.staging, layers.directories(self.home, origin.layers)) as root:
            yield Tree(root, Exclusions(()), keeps_owners=True, name=origin.name)

    def digest(self, origin: Origin | None, tree: Tree, path: str, excluded: Exclusions | None = None) -> str:
        """Return the digest of a source in the tree of a `from` or in the context, in hex."""
        if origin is None:
            return self.context.digest(path, excluded)
        return checksum.of_source(tree, path, excluded, None)

    def check_platform(self, given: str) -> None:
        """Raise InvalidArgument if FROM asks for a platform other than that of the build."""
        if given and not platforms.matches(platforms.parse(self.platform), platforms.parse(given)):
            raise _wrong_platform(given)


def _platform(given: str) -> str:
    ours = f"linux/{platforms.architecture()}"
    if not platforms.matches(
        {"os": "linux", "architecture": platforms.architecture()}, platforms.parse(given or ours)
    ):
        raise _wrong_platform(given)
    return platforms.show(platforms.parse(given or ours))


def _wrong_platform(given: str) -> InvalidArgument:
    ours = f"linux/{platforms.architecture()}"
    return InvalidArgument(f"cannot build for {given}: this machine is {ours}", "there is no emulation")


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
        config: dict[str, Any] = state.image_config(build.now(), pinned=build.epoch is not None)
        if build.inline_cache:
            config[inline.MEMBER] = state.steps
        found = build.home.images.add_image(config, state.layers, tags)
        step.output(f"writing image {found.id}\n".encode())
        for tag in tags:
            step.output(f"naming to {writer.parse_name(tag).canonical()}\n".encode())
    for tag in tags:
        events.emit_image(build.home.paths, "tag", found.id, tag)
    return found
