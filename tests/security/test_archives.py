"""Archives made to exhaust memory or time: each is refused in one line, or costs no more than an honest archive.

The command reads each from a pipe, and the peak memory of its process is measured.
Attacks on files outside the target directory are in test_layer_hostile.py.
"""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS, Pyctr
from tests.images.archives import config, digest, entry, header, tar
from tests.leaks import cgroup_name, end_groups

MEBIBYTE = 1 << 20
COUNT = 150
"""Number of headers of 1 MiB: together more than PEAK if all are kept."""
PEAK = 100 << 10  # KiB: an honest archive takes 40 MiB of memory
END = bytes(1024)
MEASURE = """
import os, sys
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
open(sys.argv[1], "w").write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status) % 256)
"""
"""A small parent process, since the peak that the kernel reports includes the process before its exec."""


class Result:
    """The result of a command: exit status, output, peak memory (KiB) and duration (seconds)."""

    def __init__(self, status: int, error: str, peak: int, seconds: float) -> None:
        self.status, self.error, self.peak, self.seconds = status, error, peak, seconds


@pytest.fixture
def pyctr(launcher: Path, tmp_path: Path) -> Iterator[Pyctr]:
    """Yield the command on a state directory in memory, which is removed quickly with all its files."""
    root = tmp_path / "state"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", root], check=True)
    try:
        yield Pyctr(launcher, root)
    finally:
        subprocess.run(["umount", root], check=True)
        end_groups(cgroup_name(root), only_empty=True)


@pytest.fixture
def feed(pyctr: Pyctr, tmp_path: Path) -> Callable[..., Result]:
    """Return a function that runs the command with standard input from a generator: `feed("import", pieces)`."""

    def run(verb: str, pieces: Iterable[bytes]) -> Result:
        args = pyctr.command(verb, "-") if verb == "import" else pyctr.command(verb)
        peak = tmp_path / "peak"
        measured = [sys.executable, "-ISc", MEASURE, str(peak), *args]
        with tempfile.TemporaryFile() as error:
            began = time.monotonic()
            process = subprocess.Popen(measured, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=error)

            def write() -> None:
                assert process.stdin is not None
                try:
                    for piece in pieces:
                        process.stdin.write(piece)
                    process.stdin.close()
                except BrokenPipeError:
                    pass  # the command has refused the archive, and stopped reading

            writer = threading.Thread(target=write)
            writer.start()
            process.wait()
            writer.join()
            error.seek(0)
            stderr = error.read().decode(errors="replace")
        return Result(process.returncode, stderr, int(peak.read_text()), time.monotonic() - began)

    return run


def record(key: bytes, value: bytes) -> bytes:
    """Return a pax record."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while length != len(str(length)) + len(rest):
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def big(kind: bytes, number: int, size: int = MEBIBYTE) -> bytes:
    """Return a pax header of about 1 MiB with unique keys."""
    value = b"v" * (size // 16 - 40)
    records = b"".join(record(b"SCHILY.xattr.user.%d.%d" % (number, part), value) for part in range(16))
    return header("pax", kind, records)


def file(name: str) -> bytes:
    return header(name, b"0")


def chain(kind: bytes) -> Iterator[bytes]:
    for number in range(COUNT):
        yield big(kind, number)
    yield file("x") + END


def small_headers() -> Iterator[bytes]:
    for number in range(10_000):
        yield header("pax", b"x", record(b"SCHILY.xattr.user.%d" % number, b"v" * 300))
    yield file("x") + END


def long_names(kind: bytes) -> Iterator[bytes]:
    for _ in range(COUNT):
        yield header("././@LongLink", kind, b"n" * MEBIBYTE)
    yield file("x") + END


def many_xattrs() -> Iterator[bytes]:
    yield header("pax", b"x", b"".join(record(b"SCHILY.xattr.user.%d" % number, b"") for number in range(20_000)))
    yield file("x") + END


def pax_sparse(count: int) -> Iterator[bytes]:
    """Yield a sparse file of version 1.0 whose map has `count` pieces (CVE-2025-58183)."""
    records = {b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"9", b"size": b"%d"}
    pieces = b"0\n0\n" * (MEBIBYTE // 4)
    size = count * 4
    body = b"".join(record(key, b"%d" % size if key == b"size" else value) for key, value in records.items())
    yield header("pax", b"x", body) + header("x", b"0", size=b"%011o\0" % size)
    yield b"%d\n" % count
    for _ in range(size // MEBIBYTE):
        yield pieces


def gnu_sparse() -> Iterator[bytes]:
    """Yield a sparse file in GNU's old format with an endless map."""
    block = bytearray(header("x", b"S"))
    block[482] = 1
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    yield bytes(block)
    extension = (b"%011o\0" % 0) * 42 + b"\1" + bytes(7)
    for _ in range(COUNT * 4):
        yield extension * (MEBIBYTE // 512)


def endless_line() -> Iterator[bytes]:
    """Yield a sparse file of version 1.0 whose map is one endless number."""
    body = record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.realsize", b"9")
    yield header("pax", b"x", body + record(b"size", b"%d" % (1 << 32))) + header("x", b"0")
    for _ in range(COUNT):
        yield b"1" * MEBIBYTE


def names_of_an_archive(kind: bytes) -> Iterator[bytes]:
    """Yield files of an image archive with names of 200 KiB."""
    for number in range(COUNT * 5):
        yield header("pax", b"x", record(b"path", b"%d/" % number + b"n" * 200_000)) + header("x", kind)


def files_of_an_archive() -> Iterator[bytes]:
    for number in range(66_000):
        yield header(f"{number}", b"2")


REFUSED: dict[str, tuple[str, Callable[[], Iterable[bytes]], str]] = {
    "global headers": ("import", lambda: chain(b"g"), "more than 1048576 bytes"),
    "pax headers": ("import", lambda: chain(b"x"), "more than 1048576 bytes"),
    "Solaris's pax headers": ("import", lambda: chain(b"X"), "more than 1048576 bytes"),
    "small pax headers": ("import", small_headers, "more than 1048576 bytes"),
    "long names": ("import", lambda: long_names(b"L"), "more than 1048576 bytes"),
    "long links": ("import", lambda: long_names(b"K"), "more than 1048576 bytes"),
    "extended attributes": ("import", many_xattrs, "more than 65536 bytes of names"),
    "a sparse map of pax": ("import", lambda: pax_sparse(1 << 26), "a map of more than 1048576 bytes"),
    "a sparse map of GNU": ("import", gnu_sparse, "a map of more than 1048576 bytes"),
    "a sparse map without an end": ("import", endless_line, "broken"),
    "pax headers of an image archive": ("load", lambda: chain(b"x"), "more than 1048576 bytes"),
    "names of an image archive": ("load", lambda: names_of_an_archive(b"0"), "a name of more than 4096 bytes"),
    "links of an image archive": ("load", lambda: names_of_an_archive(b"2"), "a name of more than 4096 bytes"),
    "files of an image archive": ("load", files_of_an_archive, "more than 65536 files"),
    "a dictionary of xz": ("import", lambda: [xz_bomb()], "Memory usage limit"),
}


def xz_bomb() -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    return lzma.compress(tar(entry("x", b"x")), filters=filters)


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_archive_is_refused_in_one_line_with_little_memory(
    name: str, feed: Callable[..., Result], pyctr: Pyctr
) -> None:
    verb, pieces, message = REFUSED[name]
    before = pyctr("images", "-a", "-q").stdout
    result = feed(verb, pieces())
    assert message in result.error
    assert (result.status, "Traceback" in result.error) == (1, False)
    assert len(result.error.splitlines()) <= 2
    assert all(len(line) < 500 for line in result.error.splitlines())
    assert result.peak < PEAK
    assert pyctr("images", "-a", "-q").stdout == before
    assert os.listdir(pyctr.root / "staging") == []


def globals_between_files() -> Iterator[bytes]:
    for number in range(COUNT):
        yield big(b"g", number) + file("x")
    yield END


def globals_then_many_files() -> Iterator[bytes]:
    """Every file would get all attributes of a global header."""
    yield header("pax", b"g", b"".join(record(b"SCHILY.xattr.user.%d" % number, b"") for number in range(20_000)))
    for number in range(20_000):
        yield header("f", b"0") if number % 100 else header(f"{number}", b"0")
    yield END


def many_directories() -> Iterator[bytes]:
    """Every path is long, so it must not be kept until the end."""
    top = "/".join(["d" * 250] * 15)
    for number in range(16_000):
        yield header("pax", b"x", record(b"path", f"{top}/{number}".encode())) + header("x", b"5")
    yield END


def repeated_sparse_records() -> Iterator[bytes]:
    """A map of version 0.0 in one header: quadratic time if the map is concatenated piece by piece."""
    pieces = b"".join(
        record(b"GNU.sparse.offset", b"0") + record(b"GNU.sparse.numbytes", b"0") for _ in range(17_000)
    )
    for _ in range(20):
        yield header("pax", b"x", pieces + record(b"GNU.sparse.size", b"9")) + file("x")
    yield END


TAKEN: dict[str, Callable[[], Iterator[bytes]]] = {
    "global headers between files": globals_between_files,
    "a global header of many attributes": globals_then_many_files,
    "directories with long paths": many_directories,
    "repeated sparse records": repeated_sparse_records,
}


@pytest.mark.parametrize("name", TAKEN)
def test_an_honest_archive_takes_little_memory_and_time(name: str, feed: Callable[..., Result]) -> None:
    result = feed("import", TAKEN[name]())
    assert (result.status, result.error) == (0, "")
    assert result.peak < PEAK
    assert result.seconds < 20 * SLOWNESS


def test_a_tree_ten_thousand_levels_deep_is_unpacked_and_removed(
    pyctr: Pyctr, feed: Callable[..., Result]
) -> None:
    """The path is longer than any system call accepts, and only its last directory has an entry."""
    deep = "/".join(["d"] * 10_000)
    rest = header("pax", b"x", record(b"path", f"{deep}/file".encode())) + header("x", b"0", b"deep")
    link = header("pax", b"x", record(b"linkpath", f"{deep}/file".encode())) + header("link", b"1")
    gone = header("pax", b"x", record(b"path", f"{deep}/.wh.other".encode())) + header("x", b"0")
    below = [tar(entry("other", b"x")), rest + link + gone + END]
    archive = image_archive(below)
    result = feed("load", [archive])
    assert (result.status, result.error, result.peak < PEAK) == (0, "", True)
    [layer] = [path for path in (pyctr.root / "layers").iterdir() if (path / "link").exists()]
    assert (layer / "link").read_bytes() == b"deep"
    assert (layer / "link").stat().st_nlink == 2
    assert pyctr("rmi", "deep:1").returncode == 0
    assert not layer.exists()


def test_a_deep_tree_gets_the_attributes_of_the_layer_below(pyctr: Pyctr, feed: Callable[..., Result]) -> None:
    deep = "/".join(["d"] * 3000)
    lower = header("pax", b"x", record(b"path", deep.encode())) + header("x", b"5", mode=b"0000710\0") + END
    upper = header("pax", b"x", record(b"path", f"{deep}/file".encode())) + header("x", b"0", b"deep") + END
    assert feed("load", [image_archive([lower, upper])]).error == ""
    modes = set()
    for layer in (pyctr.root / "layers").iterdir():
        done = subprocess.run(["find", layer, "-type", "d", "-links", "2", "-printf", "%m\n"], capture_output=True)
        modes.update(done.stdout.split() if (layer / "d").exists() else [])
    assert modes == {b"710"}


def image_archive(layers: list[bytes]) -> bytes:
    """Return a docker-archive named deep:1."""
    content = config(*(digest(layer) for layer in layers), config={"Cmd": ["x"]})
    manifest = [{"Config": "c.json", "RepoTags": ["deep:1"], "Layers": [f"{n}.tar" for n in range(len(layers))]}]
    return tar(
        entry("c.json", content),
        *(entry(f"{number}.tar", layer) for number, layer in enumerate(layers)),
        entry("manifest.json", json.dumps(manifest).encode()),
    )
