"""The capstone, solved: `run`, made of the functions of labs 1 to 6."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
from dataclasses import dataclass, field

from labs.lab1_namespaces import create, kinds, network
from labs.lab2_cgroups import controllers, removal
from labs.lab3_rootfs import overlay, pivot, target
from labs.lab4_volumes import bind
from labs.lab6_networks import link
from pyctr_lite import linux
from pyctr_lite.cgroups import hierarchy
from pyctr_lite.linux import kernelfile, netlink

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Mistake(Exception):
    """What the caller has to mend: one line, and exit status 125."""


@dataclass
class Request:
    """The command line."""

    memory: int | None = None
    pids: int | None = None
    volumes: list[tuple[str, str, bool]] = field(default_factory=list)
    bridge: int = 0
    address: str = ""
    prefix: int = 0
    layers: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


def parse(args: list[str]) -> Request:
    request, args = Request(), list(args)
    while args and args[0].startswith("-") and args[0] != "--":
        option = args.pop(0)
        if option not in ("-m", "-n", "-p", "-v") or not args:
            raise Mistake(f"unknown option, or one without its value: {option}")
        value = args.pop(0)
        if option == "-v":
            request.volumes.append(parse_volume(value))
        elif option == "-n":
            request.bridge, request.address, request.prefix = parse_network(value)
        elif not value.isdecimal():
            raise Mistake(f"{option} {value}: not a number")
        elif option == "-m":
            request.memory = int(value)
        else:
            request.pids = int(value)
    if "--" not in args:
        options = "[-m BYTES] [-p PIDS] [-v SRC:DST[:ro]]... [-n BRIDGE,ADDRESS/PREFIX]"
        raise Mistake(f"usage: run {options} LAYER... -- COMMAND [ARG...]")
    at = args.index("--")
    request.layers, request.command = [os.path.abspath(layer) for layer in args[:at]], args[at + 1 :]
    if not request.layers or not request.command:
        raise Mistake("there must be a LAYER before --, and a COMMAND after it")
    for layer in request.layers:
        if not os.path.isdir(layer):
            raise Mistake(f"{layer}: no such layer")
    return request


def parse_volume(text: str) -> tuple[str, str, bool]:
    source, _, rest = text.partition(":")
    destination, _, mode = rest.partition(":")
    if not source.startswith("/") or not destination.startswith("/") or mode not in ("", "ro"):
        raise Mistake(f"-v {text}: not SRC:DST or SRC:DST:ro with absolute paths")
    if not os.path.isdir(source):
        raise Mistake(f"-v {text}: there is no directory {source}")
    return source, destination, mode == "ro"


def parse_network(text: str) -> tuple[int, str, int]:
    bridge, _, rest = text.partition(",")
    address, _, prefix = rest.partition("/")
    try:
        socket.inet_pton(socket.AF_INET, address)
        return socket.if_nametoindex(bridge), address, int(prefix)
    except (OSError, ValueError):
        raise Mistake(f"-n {text}: not BRIDGE,ADDRESS/PREFIX with a bridge that is there") from None


class Group:
    """A control group in each hierarchy that has a limit for us."""

    def __init__(self, name: str) -> None:
        self.mounts = [
            mount
            for mount in hierarchy.detect().mounts
            if mount.version == 2 or "memory" in mount.controllers or "pids" in mount.controllers
        ]
        self.path = f"/{name}"

    def create(self, request: Request) -> None:
        for mount in self.mounts:
            os.mkdir(mount.mountpoint + self.path)
            for controller in ("memory", "pids"):
                if mount.version == 2:
                    controllers.enable(mount, self.path, controller)
            memory, pids = request.memory, request.pids
            if memory is not None and "memory" in mount.controllers:
                if mount.version == 2:
                    self.write(mount, "memory.max", memory)
                    self.write(mount, "memory.swap.max", 0)
                else:
                    self.write(mount, "memory.limit_in_bytes", memory)
                    self.write(mount, "memory.memsw.limit_in_bytes", memory)
            if pids is not None and "pids" in mount.controllers:
                self.write(mount, "pids.max", pids)

    def write(self, mount: hierarchy.HierarchyMount, file: str, value: int) -> None:
        path = f"{mount.mountpoint}{self.path}/{file}"
        if "sw" not in file or os.path.exists(path):  # not every kernel counts swap
            kernelfile.write(path, str(value))

    def enter(self) -> None:
        for mount in self.mounts:
            kernelfile.write(f"{mount.mountpoint}{self.path}/cgroup.procs", "0")

    def remove(self) -> None:
        for mount in self.mounts:
            removal.remove(mount.mountpoint + self.path, mount.version, time.monotonic() + 5)


def main(args: list[str]) -> int:
    try:
        request = parse(args)
    except Mistake as mistake:
        return told(str(mistake), 125)
    with contextlib.ExitStack() as stack:
        # From here on both wait until sigwait takes them.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD])
        directory = tempfile.mkdtemp(prefix="capstone-")
        stack.callback(shutil.rmtree, directory)
        group = Group(os.path.basename(directory))
        stack.callback(group.remove)
        group.create(request)
        flags = kinds.flags(["uts", "ipc", "net", "pid", "mnt"])
        wait, go = os.pipe()
        pid, _ = create.spawn(flags, lambda: child(request, group, directory, mask, wait))
        lay_cable(request, pid)
        os.write(go, b".")
        terminated = signal.sigwait([signal.SIGTERM, signal.SIGCHLD]) == signal.SIGTERM
        if terminated:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if terminated:
        return 128 + signal.SIGTERM
    return 128 - code if code < 0 else code


def lay_cable(request: Request, pid: int) -> None:
    """If it fails, the child finds no eth0 and says so."""
    if request.bridge:
        with netlink.Socket() as sock, contextlib.suppress(OSError):
            link.add_veth(sock, f"cap{pid}", request.bridge, pid, "eth0", "")


def set_up_eth0(request: Request) -> None:
    index = socket.if_nametoindex("eth0")
    packed = socket.inet_aton(request.address)
    body = struct.pack("=BBBBi", socket.AF_INET, request.prefix, 0, 0, index)
    body += netlink.attribute(1, packed) + netlink.attribute(2, packed)  # IFA_ADDRESS, IFA_LOCAL
    up = struct.pack("=BxHiII", 0, 0, index, 1, 1)
    with netlink.Socket() as sock:
        sock.request("ip address add", 20, netlink.CREATE | netlink.EXCL, body)  # RTM_NEWADDR
        sock.request("ip link set up", link.NEWLINK, 0, up)


def child(request: Request, group: Group, directory: str, mask: set[signal.Signals], wait: int) -> None:
    try:
        group.enter()
        linux.sethostname("capstone")
        network.bring_up_loopback()
        if request.bridge:
            os.read(wait, 1)
            set_up_eth0(request)
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
        root = mount_root(request.layers, directory)
        for source, destination, readonly in request.volumes:
            bind.bind_mount(source, mount_point(root, destination), readonly=readonly)
        pivot.pivot_root(root)
        os.makedirs("/proc", exist_ok=True)
        linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    except Exception as error:
        os._exit(told(f"cannot prepare the container: {type(error).__name__}: {error}", 125))
    os.closerange(3, 1 << 20)
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os._exit(execute(request.command))


def mount_root(layers: list[str], directory: str) -> str:
    upper, work, root = (f"{directory}/{name}" for name in ("upper", "work", "root"))
    for path in (upper, work, root):
        os.mkdir(path)
    linux.mount("overlay", root, "overlay", 0, overlay.overlay_options(layers, upper, work))
    return root


def mount_point(root: str, path: str) -> str:
    """Make a directory in the container, following links from its root, and return the path here."""
    root_fd = os.open(root, linux.O_PATH | os.O_DIRECTORY)
    done = ""
    for name in path.strip("/").split("/"):
        parent = target.open_in_root(root_fd, done or "/")
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=parent)
        done += f"/{name}"
    return os.readlink(f"/proc/self/fd/{target.open_in_root(root_fd, done)}")


def execute(command: list[str]) -> int:
    environment = {"PATH": PATH, "HOME": "/root"}
    name, code = command[0], 127
    for path in [name] if "/" in name else [f"{directory}/{name}" for directory in PATH.split(":")]:
        try:
            os.execve(path, command, environment)
        except (FileNotFoundError, NotADirectoryError) as error:
            reason = error.strerror
        except OSError as error:
            return told(f"{name}: {error.strerror}", 126)
    return told(f"{name}: {reason}", code)


def told(message: str, code: int) -> int:
    os.write(2, f"run: {message}\n".encode(errors="surrogateescape"))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
