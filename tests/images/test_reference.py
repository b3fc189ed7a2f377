"""Docker's grammar of references (distribution/reference): defaults and errors."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.images import reference

HEX = "0123456789abcdef" * 4

VALID = {
    "busybox": ("docker.io/library/busybox:latest", "busybox:latest"),
    "busybox:1.36": ("docker.io/library/busybox:1.36", "busybox:1.36"),
    "library/busybox": ("docker.io/library/busybox:latest", "busybox:latest"),
    "docker.io/busybox": ("docker.io/library/busybox:latest", "busybox:latest"),
    "index.docker.io/busybox": ("docker.io/library/busybox:latest", "busybox:latest"),
    "someone/tool": ("docker.io/someone/tool:latest", "someone/tool:latest"),
    "localhost/tool": ("localhost/tool:latest", "localhost/tool:latest"),
    "localhost:5000/tool:v1": ("localhost:5000/tool:v1", "localhost:5000/tool:v1"),
    "quay.io/a/b/c": ("quay.io/a/b/c:latest", "quay.io/a/b/c:latest"),
    "Upper/tool": ("Upper/tool:latest", "Upper/tool:latest"),
    "[fd00::1]:5000/a": ("[fd00::1]:5000/a:latest", "[fd00::1]:5000/a:latest"),
    "a__b/c--d.e_f:T_.-9": ("docker.io/a__b/c--d.e_f:T_.-9", "a__b/c--d.e_f:T_.-9"),
    f"busybox@sha256:{HEX}": (f"docker.io/library/busybox@sha256:{HEX}", f"busybox@sha256:{HEX}"),
    f"busybox:1@sha256:{HEX}": (f"docker.io/library/busybox:1@sha256:{HEX}", f"busybox:1@sha256:{HEX}"),
    f"{HEX}:1": (f"docker.io/library/{HEX}:1", f"{HEX}:1"),
    HEX[:63]: (f"docker.io/library/{HEX[:63]}:latest", f"{HEX[:63]}:latest"),
}


@pytest.mark.parametrize(("text", "expected"), VALID.items(), ids=list(VALID))
def test_a_reference_has_a_full_and_a_short_form(text: str, expected: tuple[str, str]) -> None:
    parsed = reference.parse(text)
    assert (parsed.canonical(), parsed.familiar()) == expected
    assert reference.parse(parsed.canonical()) == reference.parse(parsed.familiar()) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "", ":tag", "a:", "a:.tag", "a:-tag", "a:" + "t" * 129, "a b", "a//b", "/a", "a/", "-a", "a-", "a..b",
        "a___b", "a._b", "é", "a@", "a@sha256:abc", f"a@md5:{HEX[:32]}", f"a@sha256:{HEX.upper()}",
        "a@b@c", HEX, "a:1:2",
        "-host.io/a", "host-.io/a", "host.io:port/a", "host..io/a", "[::1/a", "https://a", "a" * 256,
        "a\n", "a:t\n",
    ],
)  # fmt: skip
def test_an_invalid_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid reference format"):
        reference.parse(text)


def test_capitals_in_a_name_get_a_hint() -> None:
    with pytest.raises(InvalidArgument, match=r"repository name \(library/Busybox\) must be lowercase"):
        reference.parse("Busybox")


def test_the_default_tag_applies_only_without_tag_and_digest() -> None:
    assert reference.parse("a").name_only
    assert not reference.parse("a:latest").name_only
    assert reference.parse(f"a@sha256:{HEX}").tag == ""


# distribution/reference's regular expressions, for a name with its domain.
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")


@given(st.text(alphabet="ab0._-/", min_size=1, max_size=12))
def test_paths_are_accepted_as_by_dockers_regular_expression(path: str) -> None:
    try:
        accepted = reference.parse(f"example.com/{path}").path == path
    except InvalidArgument:
        accepted = False
    assert accepted == bool(_PATH.fullmatch(path))


def test_reading_the_store_imports_no_slow_module() -> None:
    program = "import sys; sys.path.insert(0, '.'); import pyctr_lite.images.store; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "pyctr_lite.images.reference" in loaded
    assert not loaded & {"re", "json", "hashlib", "typing", "enum", "contextlib", "pathlib", "tarfile", "shutil"}


@pytest.mark.parametrize("name", ["localhost:65536/app", "[::1]:65536/app", "example.org:99999999999/app"])
def test_a_port_that_no_host_has_is_no_part_of_a_name(name: str) -> None:
    with pytest.raises(InvalidArgument):
        reference.parse(name)
