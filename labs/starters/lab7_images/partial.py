"""A blob, verified while it comes (exercise 7.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.kit import Todo
from pyctr_lite.images import blob
from pyctr_lite.images.partial import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.images.partial import Body, Partial

# This function is a method of the engine's Partial, a file that is downloaded: `self` has
#   self.digest        the digest of the whole blob: "sha256:" and 64 hex digits
#   self.size          the bytes in the file so far, perhaps some of an earlier pull
#   self.write(data)   appends bytes, and counts them in self.size
#   self.hash          an object of hashlib, and self.hashed, how many bytes of the file it has
#   self.catch_up()    hashes the bytes of the file from self.hashed on
#   self.share()       lets other pulls read the file as a complete one, self.remove() removes it
# blob.lie(name, found, wanted) is an error such as "NAME failed verification: FOUND, not WANTED".


def receive(self: Partial, body: Body, size: int, report: Callable[[int], None]) -> None:
    """Append what a body brings to the file, and share the file when it is the whole blob.

    The blob has `size` bytes. `body.read1(CHUNK)` returns at most CHUNK bytes, and none at the end. Each byte
    of the file is hashed once: those that are there at the beginning, and then each piece as it comes.
    `report` is called after each piece with the number of bytes that can be used: all in the file, but at most
    `size` - 1 until the digest has been checked, and `size` when the file is shared.
    A body that ends early, or fails, is no fault of the file: it keeps what has come, for another request.
    Raises BrokenArchive ("blob DIGEST failed verification: …, not …": `blob.lie` returns it), and removes the
    file, if a piece goes beyond `size`, which is then not written, or if the whole has another digest than
    `self.digest`; then the message has that digest, too.
    Source: OCI image-spec, descriptor.md; distribution-spec, "Pulling blobs".
    """
    # 1. Another pull was killed after half of the blob: its bytes are in the file, and nobody has hashed them in
    #    this process. When does your digest get them?
    # 2. The registry is somebody else's machine. It says that a blob has 100 bytes, and sends a gigabyte. After
    #    which byte do you know, and what is in the file by then?
    # 3. The connection is cut in the middle: `read1` returns nothing, or raises. Is the file wrong then?
    # 4. Another thread unpacks the blob while it comes. It may have every byte but one before the digest is known:
    #    why is the last one enough to keep it from a complete layer?
    # 5. All bytes are there, and one of them is another one. What must be gone when your error is raised? And what
    #    has to come first, the check or `share`?
    raise Todo("7.3")
