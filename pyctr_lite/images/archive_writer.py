"""The writer of image archives: tar streams that docker, podman, skopeo and pyctr_lite load. Reproducible.

A docker-archive is an OCI image layout with a manifest.json, as `docker save` writes it since version 25, so it is
both formats. An OCI archive is the layout alone.
"""

from __future__ import annotations

import io
import os
import tarfile

from pyctr_lite import jsonfile
from pyctr_lite.errors import BrokenArchive, InvalidArgument
from pyctr_lite.images import blob, writer
from pyctr_lite.images import image as images
from pyctr_lite.images import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, BinaryIO

    from pyctr_lite.images.image import Image
    from pyctr_lite.images.store import ImageStore

    Selected = list[tuple[Image, list[references.Reference]]]


def write_archive(store: ImageStore, selected: Selected, output: BinaryIO, *, docker: bool) -> None:
    """Write an OCI image layout; with `docker` also the manifest.json of a docker-archive.

    Raises BrokenArchive if a blob does not match its digest.
    """
    digests = {
        digest
        for image, _ in selected
        for digest in (image.id, image.digest, *(layer.digest for layer in image.layers))
    }
    with tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as archive:
        _add_directory(archive, "blobs")
        _add_directory(archive, "blobs/sha256")
        for digest in sorted(digests):
            _add_blob(archive, store, digest)
        _add_json(archive, "index.json", _index(store, selected))
        if docker:
            _add_json(archive, "manifest.json", _docker_manifest(selected))
        _add_json(archive, "oci-layout", {"imageLayoutVersion": "1.0.0"})


def select(store: ImageStore, names: Sequence[str]) -> Selected:
    """Return the images that names stand for, each once, with the references to save it under."""
    selected: dict[str, tuple[Image, list[references.Reference]]] = {}
    for name in names:
        for image, reference in _named(store, name):
            _, chosen = selected.setdefault(image.id, (image, []))
            if reference and reference not in chosen:
                chosen.append(reference)
    return list(selected.values())


def _named(store: ImageStore, name: str) -> Iterator[tuple[Image, references.Reference | None]]:
    try:
        wanted = references.parse(name)
    except InvalidArgument:  # an ID
        yield store.get(name), None
        return
    found = False
    for image in store.list() if wanted.name_only else ():
        for reference in map(references.parse, image.references):
            if reference.repository() == wanted.repository():
                found = True
                yield image, reference
    if not found:
        image = store.get(name)
        yield image, wanted if wanted.familiar() in image.references else None


def _index(store: ImageStore, selected: Selected) -> dict[str, Any]:
    manifests: list[dict[str, Any]] = []
    for image, chosen in selected:
        descriptor = writer.describe(store, image.digest)
        names = [reference.canonical() for reference in chosen]
        manifests += [
            {**descriptor, "annotations": {"io.containerd.image.name": name, images.REF_NAME: name}}
            for name in names
        ] or [descriptor]
    return {"schemaVersion": 2, "mediaType": images.INDEX, "manifests": manifests}


def _docker_manifest(selected: Selected) -> list[dict[str, Any]]:
    return [
        {
            "Config": _path(image.id),
            "RepoTags": [reference.familiar() for reference in chosen] or None,
            "Layers": [_path(layer.digest) for layer in image.layers],
        }
        for image, chosen in selected
    ]


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _add_directory(archive: tarfile.TarFile, name: str) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    archive.addfile(info)


def _add_json(archive: tarfile.TarFile, name: str, value: Any) -> None:
    content = jsonfile.dumps(value).encode()
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def _add_blob(archive: tarfile.TarFile, store: ImageStore, digest: str) -> None:
    """Copy a blob into the archive, and check its digest. Raises BrokenArchive."""
    with blob.open_blob(store.blob_path(digest), digest) as file:
        info = tarfile.TarInfo(_path(digest))
        info.size = os.fstat(file.fileno()).st_size
        archive.addfile(info)
        reader = blob.HashingReader(file)
        output: Any = archive.fileobj
        while data := reader.read(blob.CHUNK):
            output.write(data)
        if reader.size != info.size:
            raise BrokenArchive(f"blob {digest} changed while it was read")
        output.write(bytes(-info.size % tarfile.BLOCKSIZE))
        archive.offset += info.size + -info.size % tarfile.BLOCKSIZE
    blob.check(digest, reader.digest, f"blob {digest}")
