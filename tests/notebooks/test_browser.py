"""A notebook in JupyterLab: it opens, Run All passes, its picture shows, and nothing overflows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labs.kit.checks import notebooks
from labs.kit.exercises import manifest
from tests.notebooks import browser

if TYPE_CHECKING:
    from collections.abc import Callable

    from selenium.webdriver import Chrome

PICTURES = manifest.CHECKOUT / "build/browser"
"""The directory of the screenshots, for a person to look at."""
NOTEBOOKS = os.environ.get("NOTEBOOKS_IN_BROWSER", "05_commit").split()
"""The tested notebooks. `NOTEBOOKS_IN_BROWSER="01_namespaces 02_cgroups"` selects others."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_in_jupyterlab(name: str, tmp_path: Path, needs: Callable[[str], str]) -> None:
    needs("chromium")
    needs("chromedriver")
    file = notebooks.NOTEBOOKS / f"{name}.ipynb"
    before = file.read_bytes()
    PICTURES.mkdir(parents=True, exist_ok=True)
    try:
        with (
            notebooks.state_directory(labs=None) as environment,
            browser.jupyterlab(environment, tmp_path / "log") as address,
            browser.chromium(tmp_path / "profile") as driver,
        ):
            browser.run_all(driver, address, f"notebooks/{name}.ipynb")
            found = browser.outputs(driver)
            assert [
                output for output in found if output["output_type"] == "error" or output.get("name") == "stderr"
            ] == []
            assert any("image/png" in output.get("data", {}) for output in found)
            assert_pictures_show_and_nothing_overflows(driver, PICTURES / f"{name}.png")
    finally:
        file.write_bytes(before)  # JupyterLab saves the notebook with its outputs


def assert_pictures_show_and_nothing_overflows(driver: Chrome, screenshot: Path) -> None:
    """Scroll from top to bottom: every picture has its size, and no cell is wider than the page."""
    seen = 0
    for index in range(
        driver.execute_script("return window.jupyterapp.shell.currentWidget.content.widgets.length")
    ):
        driver.execute_script(_SCROLL, index)
        pictures, too_wide = driver.execute_script(_LOOK, index)
        assert not too_wide, f"cell {index} is wider than the page"
        seen += pictures
        if pictures:
            driver.save_screenshot(str(screenshot))
    assert seen


_SCROLL = """
const content = window.jupyterapp.shell.currentWidget.content;
content.activeCellIndex = arguments[0];
return content.scrollToItem(arguments[0]);
"""
_LOOK = """
const node = window.jupyterapp.shell.currentWidget.content.widgets[arguments[0]].node;
const pictures = [...node.querySelectorAll("img")].filter(image => image.naturalWidth > 100);
return [pictures.length, node.scrollWidth > node.clientWidth + 1];
"""
