"""The quick verbs of `pyctr-oci` load their modules from one file each, and import nothing later."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pyctr_lite import preload
from tests.oci.conftest import Oci
from tests.test_start_up import budget, loaded, run_preloaded


def test_a_quick_verb_loads_its_modules_at_once_within_its_budget(oci: Oci, tmp_path: Path) -> None:
    files = tmp_path / "preloaded"
    preload.build(str(files))
    oci.write("sleep", "60")
    oci.root.mkdir()
    calls = {
        "create": ["--bundle", oci.bundle, "box"],
        "start": ["box"],
        "state": ["box"],
        "exec": ["--detach", "--pid-file", oci.directory / "pid", "box", "true"],
        "kill": ["box", "KILL"],
        "delete": ["--force", "box"],
    }
    assert calls.keys() | {"run"} == preload.OCI.keys()
    for verb, words in calls.items():
        error = oci.directory / "error"  # a container keeps the descriptor, so a pipe would not end
        with error.open("w") as file:
            done = run_preloaded(files, oci.root, verb, *words, face="oci", stdout=None, stderr=file)
        done.stderr = error.read_text()
        if verb == "exec":
            with contextlib.suppress(ChildProcessError):
                os.waitpid(int((oci.directory / "pid").read_text()), 0)  # the test may have adopted it
        assert done.returncode == 0, done.stderr
        count, late = loaded(done)
        assert late == "[]", f"{verb} imports {late}"
        assert 1 < count <= budget()[f"pyctr-oci {verb}"], verb
