"""RUN: a program in a container, whose changes become a layer."""

from __future__ import annotations

import os
import posixpath
from contextlib import ExitStack

from pyctr_lite.build import metadata
from pyctr_lite.build import mounts as mount_grammar
from pyctr_lite.engine.build import layers, mounts, session, values
from pyctr_lite.engine.build.planned import Planned
from pyctr_lite.engine.creation import create
from pyctr_lite.engine.life import lifecycle
from pyctr_lite.engine.state.options import ContainerOptions
from pyctr_lite.errors import InvalidArgument, PyctrError
from pyctr_lite.images import image as images
from pyctr_lite.jsonfile import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.build.syntax import Instruction
    from pyctr_lite.engine.build.progress import Step
    from pyctr_lite.engine.build.stage import StageBuilder
    from pyctr_lite.engine.container.container import Container

_HOSTNAME = "BUILDKIT_SANDBOX_HOSTNAME", "buildkitsandbox"
"""A build argument that sets the hostname of all RUNs, and its default. It is the same in each build."""
_PIPES = "/dev/pipes"
"""The directory of a script that a heredoc brings, as in BuildKit."""


def plan(builder: StageBuilder, instruction: Instruction) -> Planned:
    """Check a RUN, and put its variables in. Raises InvalidArgument and DockerfileError."""
    state = builder.state
    command, script = _command(instruction)
    words = metadata.with_shell(state.config, instruction, command)
    found = [
        mount_grammar.parse(text, lambda value: state.scope.expand(instruction, value))
        for text in instruction.flags.get("mount", [])
    ]
    prepared: list[mounts.Prepared] = []
    for mount in found:
        agents = sum(each.mount.type == "ssh" for each in prepared)
        prepared.append(mounts.Prepared(builder, instruction, mount, agents))
    options = _options(builder, instruction)
    options.command = words
    environment = dict(state.scope.environment)
    title = " ".join(instruction.original.split())

    def run(report: Step) -> str:
        parts = [
            "RUN",
            words,
            script,
            sorted(environment.items()),
            [options.hostname, options.user, options.workdir, options.network, options.privileged],
            [[text.partition(":")[0] for text in options.add_hosts], options.shm_size, options.ulimits],
            [mount.key() for mount in prepared],
        ]

        def make() -> str:
            with ExitStack() as stack:
                arguments = [(mount, argument) for mount in prepared if (argument := mount.argument(stack))]
                options.tmpfs = [argument for (mount, argument) in arguments if mount.is_tmpfs]
                options.mounts = [argument for (mount, argument) in arguments if not mount.is_tmpfs]
                if script:
                    options.mounts.append(_script(builder, command[0], script))
                secrets = {name: value for mount in prepared for name, value in mount.environment.items()}
                stubs = mounts.stubs(builder, [mount for mount, _ in arguments])
                return _run(builder, options, (environment, secrets), stubs, report)

        return builder.layer(report, title, parts, make)

    history = " ".join(["RUN", *state.scope.prefix(), *words])
    return Planned(title, f"{history} # buildkit", run)


def _command(instruction: Instruction) -> tuple[list[str], str]:
    """Return the words of RUN, and the script that a lone heredoc with a `#!` line brings.

    A lone heredoc is what the shell runs; any other is passed on to the shell as it stands.
    """
    args, heredocs = instruction.args, instruction.heredocs
    if not heredocs or instruction.json:
        return args, ""
    first = heredocs[0]
    if len(heredocs) == 1 and args[0].lstrip("<-").strip("'\"") == first.name and args[0].startswith("<<"):
        if first.content.startswith("#!"):
            return [posixpath.join(_PIPES, first.name)], first.content
        return [first.content], ""
    return ["".join([args[0], *(f"\n{it.content}{it.name}" for it in heredocs)])], ""


def _script(builder: StageBuilder, path: str, content: str) -> str:
    """Write a script; return the mount that shows it."""
    directory = layers.new_directory(builder.build.staging)
    name = f"{directory}/{posixpath.basename(path)}"
    with open(name, "x") as file:
        file.write(content)
    os.chmod(name, 0o755)
    return mounts.text(directory, _PIPES, readonly=True)


def _options(builder: StageBuilder, instruction: Instruction) -> ContainerOptions:
    build, config = builder.build, builder.state.config
    network = instruction.flag("network") or build.options.network or "default"
    allowed = build.options.allow
    if instruction.flag("network") == "host" != build.options.network and values.NETWORK_HOST not in allowed:
        raise InvalidArgument("network.host is not allowed", "give --allow network.host, or --network host")
    security = instruction.flag("security") or "sandbox"
    if security == "insecure" and values.INSECURE not in allowed:
        raise InvalidArgument("security.insecure is not allowed", "give --allow security.insecure")
    return ContainerOptions(
        **build.options.of_run(),
        image="build",
        entrypoint="",
        hostname=build.options.build_args.get(_HOSTNAME[0]) or _HOSTNAME[1],
        user=config.get("User") or "",
        workdir=builder.working_directory(),
        labels={session.LABEL: build.session.token},
        network="" if network == "default" else network,
        privileged=security == "insecure",
        log_driver="none",
    )


def _run(
    builder: StageBuilder,
    options: ContainerOptions,
    variables: tuple[dict[str, str], dict[str, str]],
    stubs: list[str],
    report: Step,
) -> str:
    """Run a container to its end; return its upper directory, moved to the staging directory.

    `variables` are ordinary ones, and those that its mounts bring, of which no file may know.
    """
    build, state = builder.build, builder.state
    known, secrets = variables[0] | build.arguments.proxies(), variables[1]
    image = images.Image(
        state.base,
        "",
        {"config": {"Env": [f"{name}={value}" for name, value in known.items()]}},
        state.layers,
        {},
    )
    container = create.create(build.home, options, image, stubs)
    try:
        _set_variables(container, known, secrets)
        code = _follow(container, report)
        if code:
            shown = " ".join(options.command)
            raise PyctrError(f'process "{shown}" did not complete successfully: exit code: {code}')
        with container.lock:
            container.refresh()
            upper = build.staging.new_path()
            os.rename(f"{container.directory}/upper", upper)
            return upper
    finally:
        lifecycle.remove(container, force=True, volumes=True)


def _set_variables(container: Container, known: dict[str, str], secrets: dict[str, str]) -> None:
    """Give secret variables to a new container's program: in the bundle that its monitor inherits, and in no file.

    As in BuildKit, a RUN has no variable HOSTNAME unless the Dockerfile sets it.
    """
    assert container.new_bundle is not None
    process = container.new_bundle.config["process"]
    left_out = secrets.keys() | ({"HOSTNAME"} - known.keys())
    kept = [item for item in process["env"] if item.partition("=")[0] not in left_out]
    process["env"] = [*kept, *(f"{name}={value}" for name, value in secrets.items())]


def _follow(container: Container, report: Step) -> int:
    """Start a container, pass on its output, and return its exit code."""
    attachment = lifecycle.start(container, foreground=True)
    assert attachment is not None
    try:
        while True:
            kind, data = attachment.receive()
            if kind in ("1", "2"):
                report.output(data)
            elif kind == "X":
                end = loads(data)
                if end["OOMKilled"]:
                    report.output(b"(the kernel killed a process: out of memory)\n")
                code: int = end["ExitCode"]
                return code
            elif not kind:
                raise PyctrError("the container's monitor was killed", "build again")
    finally:
        attachment.close()
