"""Image archives for the tests, made entry by entry, so that every part of them can be wrong."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import Any

from pyctr_lite.images import image as images


def entry(
    name: str, content: bytes = b"", type: bytes | None = None, **attributes: Any
) -> tuple[tarfile.TarInfo, bytes]:
    """Return an entry: a file with content, or of another `type` (a constant of tarfile)."""
    info = tarfile.TarInfo(name)
    info.type = type or tarfile.REGTYPE
    info.size = len(content)
    info.mode = 0o755 if info.type == tarfile.DIRTYPE else 0o644
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, content


def directory(name: str, **attributes: Any) -> tuple[tarfile.TarInfo, bytes]:
    """Return a directory's entry."""
    return entry(name, type=tarfile.DIRTYPE, **attributes)


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    """Return a symbolic link's entry."""
    return entry(name, type=tarfile.SYMTYPE, linkname=target)


def hardlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    """Return a hard link's entry."""
    return entry(name, type=tarfile.LNKTYPE, linkname=target)


def tar(*entries: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar archive of entries in this order, with their names unchanged."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=format, errors="surrogateescape") as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return output.getvalue()


def pax(name: str, records: dict[str, str | bytes], content: bytes = b"") -> bytes:
    """Return an entry whose pax header has exactly these records, without an end of the archive."""
    body = b""
    for key, value in records.items():
        raw = key.encode() + b"=" + (value if isinstance(value, bytes) else value.encode()) + b"\n"
        length = len(raw) + 2
        while len(f"{length} ".encode()) + len(raw) != length:
            length += 1
        body += f"{length} ".encode() + raw
    return header("pax", b"x", body) + header(name, b"0", content)


def header(name: str, type: bytes, content: bytes = b"", **fields: bytes) -> bytes:
    """Return a raw ustar header and its content; `fields` are size, mode, uid, … as raw bytes."""
    info = tarfile.TarInfo(name)
    info.type, info.size = type, len(content)
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    offsets = {"mode": 100, "uid": 108, "gid": 116, "size": 124, "mtime": 136}
    for key, value in fields.items():
        block[offsets[key] : offsets[key] + len(value)] = value
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + content + bytes(-len(content) % 512)


def digest(content: bytes) -> str:
    """Return a content's sha256 digest in the OCI format."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def config(*diff_ids: str, **more: Any) -> bytes:
    """Return an image config for layers."""
    value = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": list(diff_ids)}}
    return json.dumps({**value, **more}).encode()


def docker_archive(layers: list[bytes], tags: list[str], *, config_content: bytes | None = None) -> bytes:
    """Return a docker-archive as of `docker save` before version 25: a directory with a layer.tar per layer."""
    content = config_content or config(*(digest(layer) for layer in layers))
    paths = [f"{number:064x}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": f"{digest(content)[7:]}.json", "RepoTags": tags, "Layers": paths}]
    return tar(
        *(entry(path, layer) for path, layer in zip(paths, layers, strict=True)),
        entry(f"{digest(content)[7:]}.json", content),
        entry("manifest.json", json.dumps(manifest).encode()),
    )


def oci_archive(layers: list[bytes], name: str, *, diff_ids: list[str] | None = None, **wrong: bytes) -> bytes:
    """Return an OCI archive; `wrong` replaces the bytes of "layer", "config" or "manifest", not the digest."""
    content = config(*(diff_ids or [digest(layer) for layer in layers]))
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": {"mediaType": images.CONFIG, "digest": digest(content), "size": len(content)},
            "layers": [
                {"mediaType": images.LAYER, "digest": digest(layer), "size": len(layer)} for layer in layers
            ],
        }
    ).encode()
    descriptor = {
        "mediaType": images.MANIFEST,
        "digest": digest(manifest),
        "size": len(manifest),
        "annotations": {images.REF_NAME: name},
    }
    blobs = [(digest(layer), wrong.get("layer", layer)) for layer in layers]
    blobs += [(digest(content), wrong.get("config", content)), (digest(manifest), wrong.get("manifest", manifest))]
    return tar(
        *(entry(f"blobs/sha256/{name[7:]}", blob) for name, blob in dict(blobs).items()),
        entry("index.json", json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode()),
        entry("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'),
    )
