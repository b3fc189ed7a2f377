"""A container's file that a power failure or a person has damaged."""

from __future__ import annotations

import shutil

import pytest

from tests.conftest import Pyctr


@pytest.mark.parametrize("file", ["container.json", "state.json"])
@pytest.mark.parametrize("content", ["", "{", "null", "[]"], ids=repr)
def test_a_damaged_container_is_one_line_and_hinders_no_other(pyctr: Pyctr, file: str, content: str) -> None:
    id = pyctr("create", "--name", "damaged", "-v", "kept:/v", "busybox", check=True).stdout.strip()
    pyctr("create", "--name", "sound", "busybox", check=True)
    path = pyctr.root / "containers" / id / file
    path.write_text(content)
    assert pyctr("ps", "-a", "--format", "{{.Names}}", check=True).stdout == "sound\n"
    for line in ("run --rm busybox true", "run --rm --userns auto busybox true", "system df", "network prune -f"):
        pyctr(*line.split(), check=True)
    for verb in ("inspect", "start", "rm"):
        done = pyctr(verb, "damaged")
        assert done.returncode == 1
        assert f"{path} is damaged: " in done.stderr
        assert "internal error" not in done.stderr
    assert f"{path} is damaged" in pyctr("doctor").stdout
    shutil.rmtree(path.parent)
    assert pyctr("ps", "-a", "--format", "{{.Names}}", check=True).stdout == "sound\n"
    pyctr("create", "--name", "damaged", "busybox", check=True)
    pyctr("volume", "inspect", "kept", check=True)
