"""`make orchestrators`: it says what is missing, fails if a scene fails, and shows the calls of the runtime."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from labs.kit.commands import orchestrators
from labs.kit.exercises import manifest
from labs.kit.orchestrators import calls, workshop

MISSING = {name: {"no-such-program": f"the-{name}-package"} for name in workshop.PACKAGES}


def test_a_machine_without_orchestrators_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workshop, "PACKAGES", MISSING)
    assert orchestrators.show() == 0
    output = capsys.readouterr().out
    for name in MISSING:
        assert f"skipped: {name} is not installed (apt install the-{name}-package)" in output


def test_a_scene_that_fails_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(tour: orchestrators.Tour) -> str:
        """The scene."""
        raise RuntimeError("podman is ill")

    monkeypatch.setattr(workshop, "PACKAGES", MISSING)
    monkeypatch.setattr(orchestrators.Tour, "podman", fail)
    assert orchestrators.show() == 1
    assert "failed: podman is ill" in capsys.readouterr().out


def test_a_scene_runs_on_our_runtime_and_shows_its_calls(needs: Callable[[str], str], root: Path) -> None:
    needs("ctr")
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed: make ready-course")
    shown = io.StringIO()
    tour = orchestrators.Tour(Console(file=shown, width=200))
    tour.workshop.engine += ["--root", str(root)]
    try:
        assert tour.run(tour.containerd) == "ok", shown.getvalue()
    finally:
        tour.workshop.close()
    for text in ("hello from containerd", "ExecSync(cat /proc/1/comm) = 0, sh", "create ", "kernel steps"):
        assert text in shown.getvalue()


def test_podman_runs_a_container_with_a_learners_functions(needs: Callable[[str], str], root: Path) -> None:
    for program in ("podman", "conmon"):
        needs(program)
    shown: list[str] = []
    shop = workshop.Workshop(shown.append, labs=manifest.CHECKOUT / "tests/labs/solved")
    shop.engine += ["--root", str(root)]
    try:
        podman = shop.podman()
        output, made = podman("run --rm -m 64m busybox echo hello"), podman.calls()
    finally:
        shop.close()
    assert output == "hello\n", shown
    assert [call.verb for call in made] == ["create", "start", "delete"]
    modules = {step.module.split(".")[1] for call in made for step in call.steps if step.is_learners}
    assert {"lab1_namespaces", "lab2_cgroups", "lab3_rootfs"} <= modules


def test_calls_are_recorded_with_their_steps(tmp_path: Path) -> None:
    runtime = tmp_path / "runtime"
    runtime.write_text(
        '#!/bin/sh\nprintf "\\n$ pyctr-oci $2 $3\\n[2 cgroups]    mkdir(1)\\n" >>"${1#--explain=}"\n'
    )
    runtime.chmod(0o755)
    recorder = calls.Recorder(tmp_path / "calls", runtime)
    for verb in ("create", "start"):
        subprocess.run([recorder.program, verb, "box"], check=True)
    made = recorder.new()
    assert [(call.verb, call.args, call.find("mkdir")) for call in made] == [
        ("create", ["box"], "mkdir(1)"),
        ("start", ["box"], "mkdir(1)"),
    ]
    assert calls.table(made).splitlines()[0] == "create      1 kernel steps   2 cgroups: 1"
    assert recorder.new() == []
