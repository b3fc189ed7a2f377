"""Start-up: the quick verbs import little, and the preloaded files behave like the modules."""

from __future__ import annotations

import ast
import marshal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pyctr_lite import boot, preload
from tests.bench import timing
from tests.conftest import REPOSITORY, Pyctr
from tests.registries.conftest import registry  # noqa: F401
from tests.registries.servers import DockerRegistry

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


REPORT = """
import os, posix
known, leave = set(sys.modules), os._exit
def report(code):
    found = {name for name in known if name.startswith('urllib3') and sys.modules[name].__spec__.loader}
    late = sorted(set(sys.modules) - known | found)
    ours = sum(name.partition(".")[0] == "pyctr_lite" for name in known) - 2  # without boot and light_os
    if os.getpid() == parent:
        os.write(2, f"{ours} {late}\\n".encode())
    else:
        try:
            with open(%r, "a") as file:
                file.write(f"{late}\\n")
        except OSError:
            pass  # this process has joined a container
    leave(code)
parent, os._exit, posix._exit = os.getpid(), report, report
from pyctr_lite.%s.main import entry
entry()
"""
"""Runs a command line after `load`, and prints how many modules of ours were loaded, and which came later.

The processes that it forks write to a file which came later there.
"""


def run_preloaded(
    directory: Path, root: Path, *words: str | Path, face: str = "cli", **options: Any
) -> subprocess.CompletedProcess[str]:
    program = (
        f"import sys; sys.path.append({str(REPOSITORY)!r}); from pyctr_lite import boot, light_os\n"
        f"light_os.install(); boot.load({str(directory)!r}, sys.argv, {face!r})\n"
        f"{REPORT % (str(root.parent / 'forked'), face)}"
    )
    command = [sys.executable, "-IS", "-c", program, "--root", str(root), *words]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(command, text=True, stdin=subprocess.DEVNULL, **options)


def loaded(done: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    """The number of modules that were loaded from the file, and the list of those imported later."""
    count, _, late = done.stderr.splitlines()[-1].partition(" ")
    return int(count), late


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("preload")
    program = (
        "import sys; sys.path.append(sys.argv[1]); from pyctr_lite import preload; preload.build(sys.argv[2])"
    )
    subprocess.run([sys.executable, "-IS", "-c", program, REPOSITORY, directory], check=True)
    return directory


def budget() -> dict[str, int]:
    """The table of docs/START_UP.md: the most modules that each quick verb may load."""
    lines = (REPOSITORY / "docs/START_UP.md").read_text().splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("| `")]
    return {row[0].strip(" `"): int(row[1]) for row in rows if row[1].strip().isdigit()}


def test_every_quick_verb_has_a_file_and_a_budget() -> None:
    assert boot.QUICK["cli"] == preload.CLI.keys()
    assert boot.QUICK["oci"] == preload.OCI.keys()
    assert preload.MORE.keys() == {f"{verb}{option}" for verb in ("create", "run") for option in boot.MORE}
    more = {"run -p", "run -v"}
    assert budget().keys() == preload.CLI.keys() | {f"pyctr-oci {verb}" for verb in preload.OCI} | more


def test_a_file_for_an_option_is_not_used_without_the_file_of_its_verb(
    preloaded: Path, root: Path, tmp_path: Path
) -> None:
    """The verb's file is not used, either, if a source of it has changed; that of -v has others."""
    (tmp_path / "preload").mkdir()
    (tmp_path / "preload/cli-run-v").write_bytes((preloaded / "cli-run-v").read_bytes())
    done = run_preloaded(tmp_path / "preload", root, "run", "--rm", "-v", "data:/data", "busybox", "echo", "hello")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


OS = """
import sys
sys.path.append(%r)
from pyctr_lite import light_os
light_os.install()
import os, posixpath
assert "_collections_abc" not in sys.modules and os.path is posixpath is sys.modules["os.path"]
light = {name: getattr(os, name) for name in vars(os) if not name.startswith("__")}
light |= {"getenv": os.getenv("HOME"), "fsencode": os.fsencode("\\udcff"), "fsdecode": os.fsdecode(b"\\xff")}
for path in ("text", b"bytes"):
    assert (os.fsencode(path), os.fsdecode(path)) == (b"text", "text") or path == b"bytes"
try:
    os.fsencode(3)
except TypeError:
    pass
%s
import _collections_abc
assert isinstance(os.environ, _collections_abc.MutableMapping) and os.__spec__.name == "os"
assert light.pop("getenv") == os.getenv("HOME") == os.environ["HOME"]
light.pop("makedirs")
assert light.pop("fsencode") == os.fsencode("\\udcff") and light.pop("fsdecode") == os.fsdecode(b"\\xff")
print([name for name, value in light.items() if getattr(os, name) != value])
"""


@pytest.mark.parametrize("use", ["os.environ", "from os import *", "import subprocess, shutil", "os.walk('/')"])
def test_the_light_os_has_the_values_of_pythons_own_and_becomes_it(use: str) -> None:
    command = [sys.executable, "-IS", "-c", OS % (str(REPOSITORY), use)]
    done = subprocess.run(command, capture_output=True, text=True, env={"HOME": "/some/where"})
    assert (done.stdout, done.stderr) == ("[]\n", "")


MAKEDIRS = """
import os, sys
def state(path):
    return sorted((found, oct(os.stat(found).st_mode)) for found, _, _ in walk(path))
def outcome(make, top):
    results = []
    os.mkdir(top)
    os.close(os.open(top + "/file", os.O_CREAT | os.O_WRONLY))
    os.umask(0o027)
    for name, *options in (
        ("a/b/c", 0o700), ("a/b/c", 0o700), ("a/b/c", 0o700, True), ("a/b/d/", 0o755, True), ("file", 0o755, True),
        ("file/x", 0o755, True), ("", 0o755), ("a/b/c/../e/f", 0o777, True), ("." * 300, 0o755, True),
    ):
        try:
            results.append(make(name and f"{top}/{name}", *options))
        except OSError as error:
            results.append((type(error).__name__, error.filename and error.filename.removeprefix(top)))
    os.umask(0o022)
    return results
light = outcome(os.makedirs, sys.argv[1] + "/light")
walk = os.walk  # the light one becomes Python's own
assert outcome(os.makedirs, sys.argv[1] + "/own") == light, light
tops = [sys.argv[1] + "/light", sys.argv[1] + "/own"]
shown = [[(found.removeprefix(top), mode) for found, mode in state(top)] for top in tops]
assert shown[0] == shown[1] and len(shown[0]) > 5, shown
"""


def test_the_light_os_makes_directories_as_pythons_own(tmp_path: Path) -> None:
    install = (
        f"import sys; sys.path.append({str(REPOSITORY)!r}); from pyctr_lite import light_os; light_os.install()"
    )
    command = [sys.executable, "-IS", "-c", f"{install}\n{MAKEDIRS}", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_light_os_lacks_what_pythons_own_lacks() -> None:
    program = (
        f"import sys; sys.path.append({str(REPOSITORY)!r}); from pyctr_lite import light_os; light_os.install()"
    )
    command = [sys.executable, "-IS", "-c", f"{program}; import os; print(os.no_such_name)"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "AttributeError: module 'os' has no attribute 'no_such_name'" in done.stderr


OTHER_FILTERS = {"pyctr_lite.networks.iptables", "pyctr_lite.networks.tables"}
"""What a monitor imports if another engine has rules in the packet filter."""
USES = {
    "cp": ["box:/etc/passwd", "-"],
    "images": [],
    "kill": ["box"],
    "port": ["box"],
    "restart": ["-t0", "box"],
    "rmi": ["other"],
    "tag": ["busybox", "new"],
    "wait": ["stopped"],
    "create": ["--name", "new", "busybox"],
    "exec": ["-e", "HOME", "box", "true"],
    "inspect": ["box"],
    "logs": ["box"],
    "ps": ["-a"],
    "rm": ["stopped"],
    "run": ["--rm", "-e", "HOME", "busybox", "true"],
    "run -p": ["--rm", "--publish=127.0.0.1::80", "busybox", "true"],
    "run -v": ["--rm", "-v", "/tmp:/t", "-v", "new:/v", "--mount", "type=tmpfs,dst=/x", "busybox", "true"],
    "start": ["stopped"],
    "stop": ["-t0", "box"],
}
"""An everyday command line of each quick verb."""


@pytest.mark.parametrize("verb", USES)
def test_a_quick_verb_loads_its_modules_at_once_within_its_budget(
    preloaded: Path, root: Path, pyctr: Pyctr, verb: str
) -> None:
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "60", check=True)
    pyctr("tag", "busybox", "other", check=True)
    pyctr("create", "--name", "stopped", "busybox", "sleep", "60", check=True)
    done = run_preloaded(preloaded, root, verb.partition(" ")[0], *USES[verb])
    assert done.returncode == 0, done.stderr
    count, late = loaded(done)
    assert late == "[]"  # not even what Python's own os needs
    assert count <= budget()[verb]
    forked = root.parent / "forked"
    deadline = time.monotonic() + 10 * verb.startswith(
        ("run", "exec")
    )  # the others' monitors keep running, if any
    while not forked.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    lists = forked.read_text().splitlines() if forked.exists() else []
    assert {name for line in lists for name in ast.literal_eval(line)} <= OTHER_FILTERS


@pytest.mark.parametrize("verb", ["pull", "push"])
def test_a_transfer_of_what_is_there_loads_its_modules_at_once_within_its_budget(
    preloaded: Path,
    root: Path,
    pyctr: Pyctr,
    registry: DockerRegistry,  # noqa: F811
    verb: str,
) -> None:
    name = f"{registry.host}/started/{verb}"
    pyctr("tag", "busybox", name, check=True)
    pyctr("push", name, check=True)
    done = run_preloaded(preloaded, root, verb, name)
    assert done.returncode == 0, done.stderr
    count, late = loaded(done)
    assert late == "[]"  # neither `site`, nor importlib.metadata, which urllib3 wants
    assert count <= budget()[verb]


@pytest.mark.parametrize("words", [["volume", "rm", "x"], ["image", "inspect", "busybox"], ["version"]])
def test_another_verb_loads_no_file(preloaded: Path, root: Path, words: list[str]) -> None:
    count, late = loaded(run_preloaded(preloaded, root, *words))
    assert (count, "pyctr_lite.cli.main" in late) == (1, True)


def test_the_preloaded_code_runs_a_container(preloaded: Path, root: Path) -> None:
    done = run_preloaded(preloaded, root, "run", "--rm", "busybox", "sh", "-c", "echo hello; exit 3")
    assert (done.returncode, done.stdout, loaded(done)[0] > 1) == (3, "hello\n", True)


def test_an_outdated_preloaded_file_is_ignored(preloaded: Path, root: Path, tmp_path: Path) -> None:
    content = (preloaded / "cli-ps").read_bytes()
    end = boot.HEAD + int.from_bytes(content[: boot.HEAD], "little")
    sources, *rest = marshal.loads(content[boot.HEAD : end])
    older = [(path, changed - path.endswith("/errors.py"), size) for path, changed, size in sources]
    assert older != sources
    head = marshal.dumps((older, *rest))
    (tmp_path / "cli-ps").write_bytes(len(head).to_bytes(boot.HEAD, "little") + head + content[end:])
    done = run_preloaded(tmp_path, root, "ps")
    assert (done.returncode, loaded(done)[0]) == (0, 1)


@pytest.mark.parametrize("content", [b"", b"junk", b"junk" * 1000, b"\xff" * 1000, bytes(1000), None])
def test_a_damaged_or_missing_preloaded_file_is_ignored(root: Path, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "cli-ps").write_bytes(content)
    done = run_preloaded(tmp_path, root, "ps")
    assert (done.returncode, loaded(done)[0]) == (0, 1)


@pytest.mark.parametrize("end", ["cut", "junk", "zeros"])
def test_a_preloaded_file_with_a_damaged_end_is_ignored(
    preloaded: Path, root: Path, tmp_path: Path, end: str
) -> None:
    """Nothing of it is used: half of a package would keep Python from importing the rest."""
    content = (preloaded / "cli-ps").read_bytes()
    half = len(content) // 2
    rest = {"cut": b"", "junk": b"junk" * (half // 4), "zeros": bytes(half)}[end]
    (tmp_path / "cli-ps").write_bytes(content[:half] + rest)
    done = run_preloaded(tmp_path, root, "ps")
    assert (done.returncode, loaded(done)[0]) == (0, 1)


@pytest.mark.parametrize("content", [b"", b"junk", None])
def test_the_command_does_without_a_good_file_of_its_own_start(tmp_path: Path, content: bytes | None) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "pyctr_lite").symlink_to(REPOSITORY / "pyctr_lite")
    command = [sys.executable, "-ISXutf8", f"{REPOSITORY}/make/launcher.py", sys.executable, str(checkout)]
    launcher = tmp_path / "launcher"
    launcher.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    launcher.chmod(0o755)
    if content is not None:
        directory = checkout / ".venv/preload" / str(sys.implementation.cache_tag)
        directory.mkdir(parents=True)
        (directory / preload.BOOT).write_bytes(content)
    done = subprocess.run([launcher, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout[:10], done.stderr) == (0, "pyctr_lite", "")


def limit(row: str) -> int:
    """The number in a row of the second table of docs/START_UP.md."""
    lines = (REPOSITORY / "docs/START_UP.md").read_text().splitlines()
    return next(int(line.split("|")[2]) for line in lines if line.startswith(f"| {row}"))


def test_a_run_takes_few_page_faults(pyctr: Pyctr) -> None:
    command = pyctr.command("run", "--rm", "busybox", "true")
    timing.faults(command)  # makes the image's Init layer and the filter
    assert timing.faults(command) <= limit("page faults")


def test_a_run_takes_few_system_calls_and_processes(pyctr: Pyctr, tmp_path: Path) -> None:
    command = pyctr.command("run", "--rm", "busybox", "true")
    subprocess.run(command, check=True)
    assert timing.system_calls(command) <= limit("system calls")
    calls = tmp_path / "calls"
    subprocess.run(["strace", "-f", "-e", "trace=execve,exit_group", "-o", calls, *command], check=True)
    assert len({line.split()[0] for line in calls.read_text().splitlines()}) == limit("processes")
