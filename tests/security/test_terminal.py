"""No output of the engine can control the terminal: every listing verb, on a real pseudoterminal."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from pyctr_lite import jsonfile, screen
from tests import person
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Pyctr

EVIL = "a\x1b]0;owned\x07\x1b[2J\x9b31mb\x7f\u202ec\r\x08d"
"""Sets a title, clears the screen, sends a C1 command, overrides the text direction, overwrites a line."""
COMMANDS = "\x1b\x07\x08\x9b\x7f\u202e\u2066\u2028"


def shown(pyctr: Pyctr, *args: str) -> str:
    """Return all that a command writes to a terminal. Line ends are "\\n"; any other CR stays."""
    with person.at_terminal(pyctr.command(*args), env={**os.environ, "NO_COLOR": "1"}) as user:
        user.leaves()
        return user.shown.replace("\r\n", "\n")


def assert_harmless(text: str) -> None:
    found = [letter for letter in text if letter in COMMANDS or letter == "\r"]
    assert not found, f"{found!r} in {text!r}"


@pytest.fixture
def evil_image(pyctr: Pyctr, tmp_path: Path) -> str:
    """Return an image whose author, comment, history, labels, environment and files are all hostile."""
    archive = tmp_path / "evil.tar"
    pyctr("save", "-o", archive, "--format", "oci-archive", "busybox", check=True)
    tree = tmp_path / "tree"
    tree.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", tree], check=True)
    blobs = tree / "blobs/sha256"
    index = json.loads((tree / "index.json").read_bytes())
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_bytes())
    config = json.loads((blobs / manifest["config"]["digest"][7:]).read_bytes())
    config["author"] = EVIL
    config["config"] |= {"Labels": {EVIL: EVIL, "line": "one\ntwo"}, "Cmd": ["sh", "-c", f": {EVIL}; sleep 60; :"]}
    config["config"]["Env"] = [f"EVIL={EVIL}"]
    for entry in config["history"]:
        entry |= {"created_by": f"{EVIL}\nfaked line", "comment": EVIL}
    manifest["config"] |= _blob(blobs, config)
    index["manifests"][0] |= _blob(blobs, manifest)
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "evil:1"}
    (tree / "index.json").write_text(json.dumps(index))
    subprocess.run(["tar", "-cf", archive, "-C", tree, "."], check=True)
    pyctr("load", "-i", archive, check=True)
    return "evil:1"


def _blob(blobs: Path, value: object) -> dict[str, object]:
    import hashlib

    data = json.dumps(value).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


@pytest.fixture
def evil_container(pyctr: Pyctr, evil_image: str) -> Iterator[str]:
    args = ["-d", "--name", "evil", "--label", f"mine={EVIL}", "-e", f"X={EVIL}", "-v", f"/v{EVIL}"]
    pyctr("run", *args, evil_image, check=True)
    pyctr("exec", "evil", "sh", "-c", f"touch '/etc/{EVIL}'", check=True)
    yield "evil"
    pyctr("rm", "-f", "-v", "evil", check=True)


LISTINGS = [
    ["ps", "--no-trunc"],
    ["ps", "-a", "--format", "table {{.Names}}\t{{.Labels}}\t{{.Mounts}}"],
    ["images", "--digests"],
    ["image", "tree", "--no-trunc"],
    ["history", "--no-trunc", "evil:1"],
    ["inspect", "evil"],
    ["inspect", "--format", "json", "evil"],
    ["container", "inspect", "evil"],
    ["image", "inspect", "evil:1"],
    ["top", "evil"],
    ["top", "evil", "-eo", "pid,args"],
    ["diff", "evil"],
    ["events", "--since", "1h", "--until", "0s"],
    ["stats", "--no-stream"],
    ["system", "df", "-v"],
    ["volume", "ls"],
    ["info"],
    ["version"],
]


@pytest.mark.timeout(300)
def test_no_listing_passes_control_characters_of_an_image_to_the_terminal(
    pyctr: Pyctr, evil_container: str
) -> None:
    for args in LISTINGS:
        assert_harmless(shown(pyctr, *args))
    for args in (["ps", "--no-trunc"], ["history", "--no-trunc", "evil:1"], ["top", "evil"], ["diff", "evil"]):
        assert "\\x1b]0;owned" in shown(pyctr, *args), args
    text = shown(pyctr, "events", "--since", "1h", "--until", "0s")
    assert "mine=a\\x1b]0;owned\\x07" in text
    assert "line=one\\x0atwo" in text, "an attribute cannot start a new line"
    assert "\nfaked line" not in shown(pyctr, "history", "--no-trunc", "evil:1")


def test_json_on_a_terminal_keeps_its_meaning(pyctr: Pyctr, evil_container: str) -> None:
    value = json.loads(shown(pyctr, "inspect", "evil"))
    assert value[0]["Config"]["Labels"]["mine"] == EVIL


def test_a_pipe_and_a_template_get_the_unchanged_text(pyctr: Pyctr, evil_container: str) -> None:
    form = '{{index .Config.Labels "mine"}}'
    assert pyctr("inspect", "-f", form, "evil", check=True).stdout == EVIL.replace("\r", "\n") + "\n"
    assert f"mine={EVIL}" in shown(pyctr, "ps", "--format", "{{.Labels}}")
    assert EVIL.replace("\r", "\n") in pyctr("ps", "--format", "{{.Labels}}").stdout


ERRORS = [
    ["run", "--rm", EVIL],
    ["run", "--rm", "busybox", EVIL],
    ["run", f"--{EVIL}", "busybox"],
    ["run", "--rm", "-m", EVIL, "busybox"],
    ["run", "--rm", "-u", EVIL, "busybox"],
    ["run", "--rm", "-w", f"/bin/true/{EVIL}", "busybox", "true"],
    ["run", "--rm", "-v", f"/x:/y:{EVIL}", "busybox", "true"],
    ["run", "--rm", "--env-file", f"/nowhere/{EVIL}", "busybox"],
    ["inspect", EVIL],
    ["volume", "inspect", EVIL],
    ["rm", EVIL],
    ["rmi", EVIL],
    ["ps", "--filter", f"status={EVIL}"],
    ["ps", "--format", "{{." + EVIL + "}}"],
    ["load", "-i", f"/nowhere/{EVIL}"],
    ["kill", "-s", EVIL, "x"],
    [EVIL],
    ["cp", f"{EVIL}:/x", "/tmp"],
]


@pytest.mark.timeout(300)
def test_no_error_passes_control_characters_of_an_argument_to_the_terminal(pyctr: Pyctr) -> None:
    for args in ERRORS:
        text = shown(pyctr, *args)
        assert_harmless(text)
        assert "Traceback" not in text
        assert "internal error" not in text


def test_an_error_about_an_archive_shows_its_names_escaped(pyctr: Pyctr, tmp_path: Path) -> None:
    archive = tmp_path / "rootfs.tar"
    with tarfile.open(archive, "w") as tar:
        entry = tarfile.TarInfo(f"../{EVIL}\nsecond line")
        tar.addfile(entry, io.BytesIO())
    text = shown(pyctr, "import", str(archive))
    assert_harmless(text)
    assert "\nsecond line" not in text


def test_the_narration_shows_control_characters_escaped(pyctr: Pyctr, evil_image: str) -> None:
    for how in ("text", "json"):
        text = shown(pyctr, "run", "--rm", f"--explain={how}", "-v", f"/v{EVIL}", evil_image, "true")
        assert_harmless(text)
    for line in text.splitlines():
        json.loads(line)


def test_bytes_that_are_not_utf_8_are_shown_and_kept(pyctr: Pyctr, launcher: Path, root: Path) -> None:
    command = [os.fsencode(word) for word in pyctr.command("create", "--label")]
    subprocess.run([*command, b"raw=\xff\x9b", b"busybox"], check=True, capture_output=True)
    text = shown(pyctr, "ps", "-a", "--format", "table {{.Labels}}")
    assert "raw=\\xff\\x9b" in text
    piped = subprocess.run(pyctr.command("ps", "-a", "--format", "{{.Labels}}"), capture_output=True, check=True)
    assert piped.stdout == b"raw=\xff\x9b\n"


def test_a_containers_output_is_not_changed(pyctr: Pyctr) -> None:
    assert "\x1b[31mred" in shown(pyctr, "run", "--rm", "busybox", "printf", "\\033[31mred")
    assert "\x1b[31mred" in shown(pyctr, "run", "--rm", "-t", "busybox", "printf", "\\033[31mred")
    pyctr("run", "--name", "said", "busybox", "printf", "\\033[31mred", check=True)
    assert "\x1b[31mred" in shown(pyctr, "logs", "said")


def test_no_verb_bypasses_the_guarded_streams() -> None:
    """The streams are replaced before any verb runs, so only these modules may use the raw ones."""
    for module in (REPOSITORY / "pyctr_lite/cli").glob("*.py"):
        if module.name != "output.py":
            text = module.read_text()
            for way in (
                "os.write(1",
                "os.write(2",
                "sys.__std",
                "fdopen(1",
                "fdopen(2",
                "/dev/tty",
                "write_raw",
                "sys.stdout.write",
            ):
                assert way not in text, f"{module.name}: {way}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("näive 文字 👩\u200d👧 \u00a0", "näive 文字 👩\u200d👧 \u00a0"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\0\a\b\v\f\r\x7f", "\\x00\\x07\\x08\\x0b\\x0c\\x0d\\x7f"),
        ("\x80\x85\x9b\x9f", "\\x80\\x85\\x9b\\x9f"),
        ("\u200e\u200f\u061c\u202a\u202e\u2066\u2069\u2028\u2029", None),
        ("\udcff\udc9b", "\\xff\\x9b"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("a\tb\n", "a\tb\n"),
    ],
)
def test_visible_text_has_no_control_characters(text: str, expected: str | None) -> None:
    made = screen.visible(text)
    assert expected is None or made == expected
    assert all(letter.isprintable() or letter in "\n\t\u200d\u00a0" for letter in made)
    assert jsonfile.loads(screen.visible_json(jsonfile.dumps(text))) == text
