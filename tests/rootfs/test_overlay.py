"""Overlays of many layers: the kernel accepts one page of options, which forty paths fill."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_lite import linux
from pyctr_lite.rootfs import overlay


@contextlib.contextmanager
def mounted(tmp_path: Path, lowers: list[Path], *, writable: bool) -> Iterator[Path]:
    """Mount an overlay of layers, top first."""
    merged, upper, work = (tmp_path / name for name in ("merged", "upper", "work"))
    for directory in (merged, upper, work):
        directory.mkdir()
    changes = (str(upper), str(work)) if writable else ("", "")
    overlay.mount_overlay([str(lower) for lower in lowers], *changes, str(merged))
    try:
        yield merged
    finally:
        linux.umount2(str(merged), 0)


def make_layers(tmp_path: Path, number: int) -> list[Path]:
    """Create layers, top first, with their own file and a common one; paths are as long as in the store."""
    layers = []
    for index in range(number):
        layer = tmp_path / f"{index:064x}"
        layer.mkdir()
        (layer / f"of-{index}").touch()
        (layer / "of-each").write_text(str(index))
        layers.append(layer)
    return layers[::-1]


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("number", [2, 40, 120, 200])
def test_many_layers_are_merged_into_one_tree(tmp_path: Path, number: int, writable: bool) -> None:
    with mounted(tmp_path, make_layers(tmp_path, number), writable=writable) as merged:
        assert {path.name for path in merged.iterdir()} == {*(f"of-{index}" for index in range(number)), "of-each"}
        assert (merged / "of-each").read_text() == str(number - 1)
        if writable:
            (merged / "of-0").unlink()
            assert not (merged / "of-0").exists()


def test_more_layers_than_one_page_of_descriptors_are_refused(tmp_path: Path) -> None:
    layers = make_layers(tmp_path, 300)
    (tmp_path / "target").mkdir()
    with pytest.raises(OSError, match="300 layers are too many for one overlay"):
        overlay.mount_overlay([str(layer) for layer in layers], "", "", str(tmp_path / "target"))


def test_special_characters_of_overlay_options_are_allowed_in_paths(tmp_path: Path) -> None:
    odd = tmp_path / "a:b,c\\d"
    odd.mkdir()
    layers = make_layers(odd, 2)
    with mounted(odd, layers, writable=True) as merged:
        assert (merged / "of-each").read_text() == "1"


def test_what_a_volatile_mount_changed_can_be_mounted_again(tmp_path: Path) -> None:
    """The kernel marks the work directory, and refuses any later mount that does not know of that."""
    lower, merged, upper, work = (str(tmp_path / name) for name in ("lower", "merged", "upper", "work"))
    for directory in (lower, merged, upper, work):
        os.mkdir(directory)
    for number, volatile in enumerate((True, True, False, True, False)):
        overlay.mount_overlay([lower], upper, work, merged, volatile=volatile)
        try:
            (tmp_path / f"merged/{number}").touch()
            assert len(os.listdir(merged)) == number + 1
        finally:
            linux.umount2(merged, 0)
