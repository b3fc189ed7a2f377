"""Run JupyterLab with the notebooks and print the address that opens it: notebook.py PORT NB [JUPYTER'S OPTIONS…]

JupyterLab listens on 127.0.0.1. PYCTR_NOTEBOOK_IP sets another address for the VM: only its host forwards the
port.

Whoever has JupyterLab's token is root on this machine. Therefore the token is neither on a command line nor in the
environment, but in a file of mode 0600 in a directory of mode 0700, together with Jupyter's own secrets and the
kernels' temporary files. Kernels listen on Unix sockets in that directory, because every user of the machine could
read the output of a kernel on TCP. The directory is new for each run and removed after it. In the VM,
PYCTR_NOTEBOOK_DIRECTORY names a permanent directory, so that the address stays the same. In that case nothing is
printed, because a service's output goes to the journal; pyctr-vm-url prints the address.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from labs.kit.isolation import scratch

CHECKOUT = Path(__file__).resolve().parent.parent
NO_NEWS = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}


def main() -> int:
    """Run until Ctrl-C or SIGTERM."""
    port, prefix, *options = sys.argv[1:]
    try:
        notebook = find_notebook(prefix)
        with private_directory() as directory:
            run(directory, port, notebook, options)
    except (OSError, ValueError) as error:
        print(f"make notebook: {error}", file=sys.stderr)
        return 1
    return 0


def find_notebook(prefix: str) -> str:
    """Return the first notebook that starts with a prefix; "" for no prefix. Raises ValueError if none does."""
    found = sorted(path.name for path in (CHECKOUT / "notebooks").glob("*.ipynb") if path.name.startswith(prefix))
    if prefix and not found:
        raise ValueError(f"there is no notebook {prefix}: NB is the beginning of a name in notebooks/")
    return found[0] if prefix else ""


@contextlib.contextmanager
def private_directory() -> Iterator[Path]:
    """Yield a directory that nobody else can enter. Raises ValueError if others can enter the permanent one."""
    kept = os.environ.get("PYCTR_NOTEBOOK_DIRECTORY")
    if not kept:
        with scratch.directory("jupyter") as directory:
            yield directory
        return
    with contextlib.suppress(FileExistsError):
        os.mkdir(kept, 0o700)
    status = os.lstat(kept)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise ValueError(f"{kept} is not a directory of mode 0700 that belongs to this user")
    yield Path(kept)


def run(directory: Path, port: str, notebook: str, options: list[str]) -> None:
    """Run JupyterLab with its secrets in `directory`."""
    for name in ("runtime", "config/labconfig", "tmp"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    (directory / "config/labconfig/page_config.json").write_text(json.dumps(NO_NEWS))
    token = token_in(directory)
    os.environ.pop("JUPYTER_TOKEN", None)
    os.environ |= {
        "JUPYTER_TOKEN_FILE": str(directory / "token"),
        "JUPYTER_RUNTIME_DIR": str(directory / "runtime"),
        "JUPYTER_CONFIG_PATH": str(directory / "config"),
        "TMPDIR": str(directory / "tmp"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    page = f"lab/tree/notebooks/{urllib.parse.quote(notebook)}"
    if "PYCTR_NOTEBOOK_DIRECTORY" not in os.environ:
        threading.Thread(target=print_address, args=(directory / "runtime", page, token), daemon=True).start()
    os.chdir(CHECKOUT)
    from jupyterlab.labapp import LabApp

    LabApp.launch_instance(
        [
            "--allow-root",
            "--no-browser",
            f"--ip={os.environ.get('PYCTR_NOTEBOOK_IP', '127.0.0.1')}",
            f"--port={port}",
            f"--ServerApp.root_dir={CHECKOUT}",
            "--ServerApp.log_level=WARN",
            "--LabApp.log_level=WARN",
            "--KernelManager.transport=ipc",
            f"--LabApp.default_url=/{page}",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            *options,
        ]
    )


def token_in(directory: Path) -> str:
    """Return the token in a directory's file, or write a new token to it."""
    path = directory / "token"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return path.read_text()
    with os.fdopen(fd, "w") as file:
        file.write(token := secrets.token_hex(24))
    return token


def print_address(runtime: Path, page: str, token: str) -> None:
    """Print the address as soon as the server listens: then Jupyter writes the port to a file.

    The address has the number 127.0.0.1, because `localhost` may mean ::1 first, where another user can listen.
    """
    written = runtime / f"jpserver-{os.getpid()}.json"
    while not written.exists():
        time.sleep(0.1)
    while True:
        try:
            port = json.loads(written.read_text())["port"]
            break
        except ValueError:  # not completely written yet
            time.sleep(0.1)
    print(f"JupyterLab: http://127.0.0.1:{port}/{page}?token={token}\nCtrl-C twice ends it.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
