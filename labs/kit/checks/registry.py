"""A registry for the checks: Debian's docker-registry on loopback, with images that are put there by HTTP."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import json
import shutil
import subprocess
import sys
import tarfile
from typing import IO, TYPE_CHECKING

from labs.kit import docker_registry
from labs.kit.checks.arena import SLOWNESS
from labs.kit.checks.expect import CheckFailed
from labs.kit.exercises import manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest_of(data: bytes) -> str:
    """Return the sha256 digest of bytes, as descriptors have it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def layer() -> bytes:
    """Return the tar archive of an image with one file, /word."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("word")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"hello"))
    return buffer.getvalue()


class Registry:
    """A registry at `host`; `directory` has its files."""

    def __init__(self, host: str, directory: Path) -> None:
        self.host, self.directory = host, directory

    def put_image(self, name: str, layer: bytes) -> None:
        """Put an image with one layer, an uncompressed tar archive, under NAME:1."""
        rootfs = {"type": "layers", "diff_ids": [digest_of(layer)]}
        config = json.dumps({"architecture": _architecture(), "os": "linux", "rootfs": rootfs}).encode()
        described = [
            {"mediaType": kind, "digest": digest_of(data), "size": len(data)}
            for kind, data in ((_CONFIG, config), (_LAYER, layer))
        ]
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described[0], "layers": described[1:]}
        for data in (config, layer):
            where = self._ask("POST", f"/v2/{name}/blobs/uploads/")
            self._ask("PUT", f"{where}&digest={digest_of(data)}", data)
        self._ask("PUT", f"/v2/{name}/manifests/1", json.dumps(manifest).encode(), {"Content-Type": MANIFEST})

    def stored(self, data: bytes) -> Path:
        """Return the file in which the registry has a blob."""
        hex_digits = digest_of(data).removeprefix("sha256:")
        return self.directory / "data/docker/registry/v2/blobs/sha256" / hex_digits[:2] / hex_digits / "data"

    def _ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> str:
        """Send a request that has to succeed. Returns the address that the answer names, "" for none."""
        with contextlib.closing(http.client.HTTPConnection(self.host, timeout=10 * SLOWNESS)) as connection:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status in (201, 202), text
            return answer.headers["Location"] or ""


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Registry]:
    """Run an empty registry on a free port of loopback. `directory` is made for its files."""
    program = shutil.which("docker-registry")
    if program is None:
        raise CheckFailed("docker-registry is missing, which this check needs: make lab7 installs it")
    process, port = docker_registry.start(program, directory)
    try:
        yield Registry(f"127.0.0.1:{port}", directory)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def with_tokens(upstream: Registry) -> Iterator[tuple[str, IO[str]]]:
    """Run a registry that wants tokens before another one: its host, and the lines of `token_server`."""
    code = f"import runpy, sys; sys.path.append({str(manifest.CHECKOUT)!r}); sys.argv[1:] = [{upstream.host!r}]; "
    code += "runpy.run_module('labs.kit.checks.token_server', run_name='__main__')"
    with subprocess.Popen([sys.executable, "-ISBc", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"127.0.0.1:{process.stdout.readline().strip()}", process.stdout
        finally:
            process.kill()


def _architecture() -> str:
    from pyctr_lite.images import platforms

    return platforms.architecture()
