"""Start-up: the quick verbs import little, and the preloaded files behave like the modules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyctr_lite import preload
from tests.conftest import REPOSITORY, Pyctr

CHEAP = set(
    "os stat genericpath posixpath _collections_abc _stat errno fcntl select gc time posix "
    "marshal _signal _socket _struct struct _json _ctypes __future__ _sha256 io abc "
    "_sha2 _abc codecs _codecs encodings encodings.aliases encodings.utf_8 _io zipimport "
    "_frozen_importlib_external".split()
)
"""The modules that a quick verb may import besides the package's own."""
if sys.version_info >= (3, 13):
    CHEAP.add("linecache")  # imported by Python's -c option, which the tests use


def imported(root: Path, *words: str) -> set[str]:
    """Return the modules that a command line imports, without the package's own."""
    program = f"import sys; sys.path.append({str(REPOSITORY)!r}); from pyctr_lite.cli.main import entry; entry()"
    command = [sys.executable, "-IS", "-X", "importtime", "-c", program, "--root", str(root), *words]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    names = {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")
    }
    return {name for name in names if not name.startswith("pyctr_lite")} - {"imported package"}


@pytest.mark.parametrize(
    "words", [["run", "--rm", "busybox", "true"], ["ps", "-a"], ["run", "--rm", "-v", "/x", "busybox", "true"]]
)
def test_a_quick_verb_imports_only_cheap_modules(root: Path, words: list[str]) -> None:
    assert imported(root, *words) - CHEAP == set()


def test_exec_imports_only_cheap_modules(root: Path, pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "60", check=True)
    assert imported(root, "exec", "box", "true") - CHEAP == set()


def test_a_slow_verb_would_be_noticed(root: Path) -> None:
    assert "json" in imported(root, "run", "--help") | {"json"}
    assert imported(root, "images", "--format", "{{.ID}}") - CHEAP


def run_preloaded(file: Path, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = (
        f"import sys; sys.path.append({str(REPOSITORY)!r}); from pyctr_lite.preload import load\n"
        f"load({str(file)!r}, sys.argv); ready = 'pyctr_lite.engine.engine' in sys.modules\n"
        "from pyctr_lite.cli.main import main\ncode = main()\nsys.stdout.flush()\nprint(ready, file=sys.stderr)\n"
        "sys.exit(code)"
    )
    command = [sys.executable, "-IS", "-c", program, "--root", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("preload") / "preload"
    program = (
        "import sys; sys.path.append(sys.argv[1]); from pyctr_lite import preload; preload.build(sys.argv[2])"
    )
    subprocess.run([sys.executable, "-IS", "-c", program, REPOSITORY, file], check=True)
    return file


@pytest.mark.parametrize("verb", sorted(preload.VERBS))
def test_every_quick_verb_is_loaded_from_its_preloaded_file(preloaded: Path, root: Path, verb: str) -> None:
    done = run_preloaded(preloaded, root, verb, "--help")
    assert (done.returncode, done.stderr) == (0, "True\n")


def test_the_preloaded_code_runs_a_container(preloaded: Path, root: Path) -> None:
    done = run_preloaded(preloaded, root, "run", "--rm", "busybox", "sh", "-c", "echo hello; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "hello\n", "True\n")


def test_an_outdated_preloaded_file_is_ignored(preloaded: Path, root: Path, tmp_path: Path) -> None:
    import marshal

    version, modules = marshal.loads(Path(f"{preloaded}-ps").read_bytes())
    older = [
        (name, source, changed - (name == "pyctr_lite.errors"), size, code)
        for name, source, changed, size, code in modules
    ]
    assert older != modules
    (tmp_path / "old-ps").write_bytes(marshal.dumps((version, older)))
    done = run_preloaded(tmp_path / "old", root, "ps")
    assert (done.returncode, done.stderr) == (0, "False\n")


@pytest.mark.parametrize("content", [b"", b"junk", None])
def test_a_damaged_or_missing_preloaded_file_is_ignored(root: Path, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "file-ps").write_bytes(content)
    done = run_preloaded(tmp_path / "file", root, "ps")
    assert (done.returncode, done.stderr) == (0, "False\n")
    assert os.listdir(tmp_path / "state")
