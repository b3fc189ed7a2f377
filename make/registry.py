"""Start Debian's docker-registry for this machine only, with the course's images: `make registry`.

make/registry.py PORT          start it, if it does not run, and push the images
make/registry.py PORT --stop   end it; its images stay
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from labs.kit import docker_registry

CHECKOUT = Path(__file__).resolve().parent.parent
DIRECTORY = Path("/var/lib/pyctr_lite/registry")  # of root, unlike the checkout
COMMAND = CHECKOUT / ".venv/bin/pyctr_lite"


def main(arguments: list[str]) -> int:
    """Start or stop the registry. Returns the exit code."""
    port = arguments[0] if arguments else "5000"
    if "--stop" in arguments:
        return stop()
    program = shutil.which("docker-registry") or shutil.which("registry")
    if not program:
        print("docker-registry is not installed: apt-get install docker-registry", file=sys.stderr)
        return 1
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        print(f"PORT={port} is not a port", file=sys.stderr)
        return 1
    if running() and (used := (DIRECTORY / "port").read_text()) != port:
        print(f"the registry already runs on port {used}: make registry STOP=1 ends it", file=sys.stderr)
        return 1
    if not running() and not start(program, int(port)):
        return 1
    host = f"localhost:{(DIRECTORY / 'port').read_text()}"
    names = subprocess.run(
        [COMMAND, "images", "--format", "{{.Repository}}:{{.Tag}}"], check=True, capture_output=True, text=True
    ).stdout.split()
    pushed = [name for name in names if "/" not in name and "<" not in name]
    for name in pushed:
        subprocess.run([COMMAND, "tag", name, f"{host}/{name}"], check=True)
        subprocess.run([COMMAND, "push", "-q", f"{host}/{name}"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([COMMAND, "rmi", f"{host}/{name}"], check=True, stdout=subprocess.DEVNULL)
    print(f"The registry {host} has: {', '.join(pushed)}")
    print(f"  pyctr_lite pull {host}/{(pushed or ['NAME'])[0]}\n  make registry STOP=1 ends it")
    return 0


def running() -> int:
    """Return the pid of the registry that this script has started, 0 if it does not run."""
    try:
        pid = (DIRECTORY / "pid").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return 0
    return int(pid) if os.fsencode(DIRECTORY / "config.yml") in command else 0


def start(program: str, port: int) -> bool:
    """Start the registry in the background."""
    try:
        process, _ = docker_registry.start(program, DIRECTORY, port, new_session=True)
    except RuntimeError as error:
        print(f"docker-registry does not start on port {port}: {error}", file=sys.stderr)
        return False
    (DIRECTORY / "pid").write_text(str(process.pid))
    (DIRECTORY / "port").write_text(str(port))
    return True


def stop() -> int:
    """End the registry. Idempotent."""
    if pid := running():
        fd = os.pidfd_open(pid)
        signal.pidfd_send_signal(fd, signal.SIGTERM)
        select.select([fd], [], [])
        os.close(fd)
        print(f"ended the registry localhost:{(DIRECTORY / 'port').read_text()}; its images stay in {DIRECTORY}")
    else:
        print("no registry is running")
    (DIRECTORY / "pid").unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
