"""Create a container on disk from an image and options. All or nothing."""

from __future__ import annotations

import os

from pyctr_lite.engine.bundle import accounts, write
from pyctr_lite.engine.bundle import mounts as bundle_mounts
from pyctr_lite.engine.container import containers, removal
from pyctr_lite.engine.container.container import Container
from pyctr_lite.engine.creation import check, image_view
from pyctr_lite.engine.state import lock, names, record, states
from pyctr_lite.engine.state.options import split_variable
from pyctr_lite.errors import InvalidArgument, PyctrError
from pyctr_lite.formats import signals
from pyctr_lite.rootfs import walk
from pyctr_lite.runtime import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pyctr_lite.engine.home import Home
    from pyctr_lite.engine.state.options import ContainerOptions
    from pyctr_lite.images.image import Image

_SHORT_ID = 12


def create(
    home: Home, options: ContainerOptions, image: Image | None = None, above: Sequence[str] = ()
) -> Container:
    """Create a container. Raises NotFound if the image is missing, Conflict if the name is taken.

    A build passes the state between two of its steps as `image`, which is not in the store, and directories of
    layers `above` the image and its Init layer.
    Raises InvalidArgument for a wrong option, before anything is created. A lock keeps other commands from
    removing the image or a volume of the container before its record is on disk.
    """
    check.validate(options)
    with lock.References(home.paths.containers, shared=True):
        return _create(home, options, image or home.images.get(options.image), above)


def _create(home: Home, options: ContainerOptions, image: Image, above: Sequence[str]) -> Container:
    _check_helpers(options)
    config: dict[str, Any] = image.config.get("config") or {}  # checked against documents.CONFIG
    args = _args(options, config)
    layers = list(reversed(home.images.layer_directories(image)))
    view = image_view.ImageView(home.paths, (image.chain_ids or [image_view.NO_LAYERS])[-1], layers)
    user = options.user or config.get("User") or ""
    account = accounts.resolve(user, options.group_add, view.passwd, view.group)
    id = os.urandom(32).hex()
    inherited: dict[str, dict[str, Any]] = {}
    if options.volumes_from:
        from pyctr_lite.engine.creation import volumes_from

        inherited = volumes_from.mounts(home, options.volumes_from)
    has_mounts = options.volumes or options.mounts or options.tmpfs or config.get("Volumes")
    if has_mounts:
        from pyctr_lite.engine.creation import mounts

        specs = mounts.parse(options, [path for path in _volumes(config) if path not in inherited])
        for item in specs:
            inherited.pop(item.target, None)
    joined = {mode: home.resolve_mode(getattr(options, mode)) for mode in containers.JOINABLE}
    for mode, value in joined.items():
        setattr(options, mode, value)
    if options.userns not in ("", "host"):
        from pyctr_lite.engine.creation import user_namespace

        user_namespace.check(home, options, account)
    ports: dict[str, list[dict[str, str]] | None] = {}
    if (
        options.networks not in ({}, {"bridge": {}})
        or options.publish
        or options.expose
        or config.get("ExposedPorts")
    ):
        from pyctr_lite.engine.creation import networks

        networks.resolve(home, options)
        ports = networks.bindings(options, config.get("ExposedPorts") or {})
    hostname = _hostname(home, options, id)
    if options.healthcheck or config.get("Healthcheck"):
        from pyctr_lite.engine.life import health

        options.healthcheck = health.resolve(options.healthcheck, config.get("Healthcheck") or {})
        if options.healthcheck and config.get("Shell"):
            options.healthcheck["Shell"] = config["Shell"]
    stop_signal = options.stop_signal or config.get("StopSignal") or "SIGTERM"
    signals.number(stop_signal)  # raises if the image's signal is wrong
    if options.name:
        options.name = options.name.removeprefix("/")  # as inspect shows it
        names.check(options.name)
    directory = _make_directory(home, id)
    creating = lock.Lock(f"{directory}/lock")
    creating.acquire()  # other commands must not sweep a half-made container
    name, container = "", None
    try:
        name = home.names.take(options.name, id)
        new_record = record.Record(
            options,
            id=id,
            name=name,
            created=record.now(),
            image=image.id,
            image_name=options.image,
            layers=[*above, view.init_layer, *layers],
            args=args,
            env=_environment(options, config, hostname),
            workdir=options.workdir or _clean(config.get("WorkingDir") or "/"),
            account=account,
            labels=(config.get("Labels") or {}) | options.labels,
            hostname=hostname,
            stop_signal=stop_signal,
            ports=ports,
            mounts=[
                *inherited.values(),
                *(
                    mounts.resolve(specs, home.volumes, lambda data, path: _fill(view, data, path))
                    if has_mounts
                    else ()
                ),
            ],
        )
        container = Container(home, new_record, states.State())
        if options.userns in ("", "host"):
            write.write_new(container)
        else:
            user_namespace.write_new(container)
    except BaseException:
        if container is not None:
            removal.remove_files(container, volumes=True)
        else:
            walk.remove_tree(directory)
            home.names.release(name, id)
        raise
    finally:
        creating.release()
    return container


def _make_directory(home: Home, id: str) -> str:
    directory = home.paths.container(id)
    try:
        os.mkdir(directory, 0o710)
    except FileNotFoundError:
        os.makedirs(home.paths.containers, 0o711, exist_ok=True)
        os.mkdir(directory, 0o710)
    return directory


def _check_helpers(options: ContainerOptions) -> None:
    """Check that the host has the files that --init and --lxcfs need. Raises PyctrError."""
    if options.init and not os.path.exists(bundle_mounts.TINI):
        raise PyctrError(
            f"--init needs {bundle_mounts.TINI}, which is missing", "apt-get install tini, or make setup"
        )
    if options.lxcfs and not os.path.exists(bundle_mounts.LXCFS + "/proc/meminfo"):
        raise PyctrError(
            f"--lxcfs: lxcfs is not running on {bundle_mounts.LXCFS}", "make setup starts it; lxcfs(1)"
        )


def _args(options: ContainerOptions, config: dict[str, Any]) -> list[str]:
    """Return the program and its arguments. An --entrypoint also discards the image's command."""
    if options.entrypoint is not None:
        entrypoint = [options.entrypoint] if options.entrypoint else []
        command = options.command
    else:
        entrypoint = config.get("Entrypoint") or []
        command = options.command or config.get("Cmd") or []
    if entrypoint == [""]:  # in Docker, this removes the entrypoint
        entrypoint = []
    args = [*entrypoint, *command]
    if not args:
        raise InvalidArgument("no command specified", "the image has none: write one after the image")
    return args


def _clean(path: str) -> str:
    """Return a path of an image as an absolute one; `..` does not lead above the root, as in Docker."""
    return "/" + os.path.normpath("/" + path).lstrip("/")


def _volumes(config: dict[str, Any]) -> list[str]:
    """Return the paths of an image's volumes without duplicates. Raises InvalidArgument if one is "/"."""
    paths = list(dict.fromkeys(_clean(path) for path in config.get("Volumes") or {}))
    if "/" in paths:
        raise InvalidArgument("the image has a volume on /, which cannot be a volume", "config.Volumes is wrong")
    return paths


def _environment(options: ContainerOptions, config: dict[str, Any], hostname: str) -> list[str]:
    """Return the image's variables, changed by -e; `-e NAME` passes on the caller's variable, if it is set."""
    variables: dict[str, str | None] = {"PATH": program.DEFAULT_PATH, "HOSTNAME": hostname}
    if options.tty:
        variables["TERM"] = "xterm"
    for item in config.get("Env") or []:  # a bare NAME of an image must not take the caller's variable
        name, equals, value = item.partition("=")
        if name and equals:
            variables[name] = value
    for item in options.env:
        name, equals, value = split_variable(item)
        variables[name] = value if equals else os.getenv(name)
    return [f"{name}={value}" for name, value in variables.items() if value is not None]


def _hostname(home: Home, options: ContainerOptions, id: str) -> str:
    if options.uts == "host" or (options.network == "host" and not options.hostname):
        return os.uname().nodename
    if options.network.startswith("container:"):  # as in Docker, containers in one network share one hostname
        return str(containers.get(home, options.network.partition(":")[2]).record.hostname)
    name: str = options.hostname or id[:_SHORT_ID]
    for kind, text in (("hostname", name), ("domain name", options.domainname)):
        if text and (not text.isprintable() or " " in text):
            raise InvalidArgument(
                f"invalid {kind} {text!r}: it contains a control character, a space, or bytes that are not text"
            )
    if len(name.encode()) > 64:
        raise InvalidArgument(f"invalid hostname {name!r}: longer than 64 bytes")
    return name


def _fill(view: image_view.ImageView, data: str, path: str) -> None:
    try:
        with os.scandir(data) as entries:
            if any(True for _ in entries) and not os.path.exists(f"{os.path.dirname(data)}/filling"):
                return  # a volume that has files is not filled, unless a copy into it was interrupted
    except FileNotFoundError:
        return
    if os.path.islink(data):
        return  # the administrator links the data to another disk: like a host directory, it is not filled
    from pyctr_lite.volumes import fill

    root_fd = view.mounted(with_init=True)
    try:
        fill.fill_volume(data, root_fd, path)
    finally:
        os.close(root_fd)
