"""JupyterLab as a person uses it: a real server and a headless Chromium that opens and runs a notebook."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from labs.kit.checks.arena import SLOWNESS
from labs.kit.exercises import manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 120 * SLOWNESS
_EXECUTE = """
window.commandEnded = "";
window.jupyterapp.commands.execute(arguments[0]).then(
    () => { window.commandEnded = "well"; }, error => { window.commandEnded = String(error); });
"""
_ENDED = "return window.commandEnded"
_PANEL = "document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden)')"


@contextlib.contextmanager
def jupyterlab(environment: dict[str, str], log: Path) -> Iterator[str]:
    """Start JupyterLab as `make notebook` does; yield the address that it prints. Stops it and its kernels."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = [sys.executable, "-IXutf8", str(manifest.CHECKOUT / "make/notebook.py")]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*program, str(port), "", "--LabApp.expose_app_in_browser=True"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield wait_for_address(server, log)
    finally:
        server.send_signal(signal.SIGTERM)  # the server stops its kernels
        try:
            server.wait(30 * SLOWNESS)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def wait_for_address(server: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the server prints its address, and return it. Raises AssertionError with the log."""
    deadline = time.monotonic() + SECONDS
    while not (found := re.search(r"^JupyterLab: (http://\S+)$", log.read_text(), re.MULTILINE)):
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    return found[1]


def wait_for_server(address: str, log: Path) -> None:
    """Wait until the server answers. Raises AssertionError with the log."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{address}/api", timeout=60).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise AssertionError(log.read_text()) from error
            time.sleep(0.2)


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """Start a headless browser with its own profile."""
    options = webdriver.ChromeOptions()
    for argument in (
        "headless=new no-sandbox disable-dev-shm-usage disable-gpu no-first-run disable-background-networking "
        "disable-component-update disable-sync window-size=1400,1000"
    ).split():
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={profile}")
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(SECONDS)
    try:
        yield driver
    finally:
        driver.quit()


def run_all(driver: webdriver.Chrome, address: str, notebook: str) -> None:
    """Open the printed address, then a notebook, and run its cells with "Run All Cells"."""
    driver.get(address)
    wait(driver, "return !!window.jupyterapp")  # logged in: the page that asks for a token has no such object
    driver.get(urllib.parse.urljoin(address, f"/lab/tree/{notebook}?reset"))
    wait(driver, f"return !!window.jupyterapp && !!{_PANEL} && !!{_PANEL}.querySelector('.jp-CodeCell')")
    wait(
        driver, "return window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
    )
    for command in ("notebook:clear-all-cell-outputs", "notebook:run-all-cells"):
        driver.execute_script(_EXECUTE, command)
        wait(driver, _ENDED)  # not in one call: the driver allows two minutes for each
        assert driver.execute_script(_ENDED) == "well", command


def wait(driver: webdriver.Chrome, script: str) -> None:
    """Wait until a script returns true."""
    deadline = time.monotonic() + SECONDS
    while not driver.execute_script(script):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {SECONDS} s: {script}")
        time.sleep(0.1)


def outputs(driver: webdriver.Chrome) -> list[dict[str, Any]]:
    """Return all outputs of the open notebook. From its model, because only cells near the screen are drawn."""
    found: list[dict[str, Any]] = driver.execute_script(
        "return [...window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells]"
        ".filter(cell => cell.cell_type === 'code').flatMap(cell => cell.toJSON().outputs)"
    )
    return found
