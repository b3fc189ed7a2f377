"""Layers, unpacked: a tar stream of changes becomes a directory in the form that overlayfs reads.

Source: OCI image-spec layer.md. An archive can never touch a file outside the directory: its names are cleaned
here, and the kernel resolves the parent of each name inside the directory, to a descriptor (see `tree`).
All changes use that descriptor and the last component of the name, with calls that do not follow a link there:
mkdirat, mknodat, symlinkat, linkat without AT_SYMLINK_FOLLOW, openat with O_EXCL or O_NOFOLLOW. No other process
can put a link there meanwhile: the directory is in the store's staging, which only its owner can enter and no
container sees. An unpacked layer is only used as a read-only part of an overlay.
"""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite import linux
from pyctr_lite.errors import BrokenArchive
from pyctr_lite.rootfs import attributes, aufs, tar, whiteout
from pyctr_lite.rootfs.tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# Errors of the kernel that the archive causes, not the disk or missing privileges.
_ARCHIVE_ERRORS = frozenset(
    (
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.EXDEV,
        errno.EINVAL,
        errno.ENAMETOOLONG,
        errno.EMLINK,
        errno.E2BIG,  # an xattr's value of more than 64 KiB
        errno.ERANGE,  # an xattr's name of more than 255 bytes
    )
)


def apply_layer(stream: tar.Readable, directory: str, lowers: Sequence[str] = ()) -> None:
    """Unpack an uncompressed tar stream of a layer into a directory, with whiteouts in overlayfs's form.

    Reads the stream to its end, even after the archive's end. `lowers` are the unpacked layers below, bottom
    first: if the archive has entries in a directory that it does not list, the directory gets the attributes that
    it has in `lowers`.
    Raises BrokenArchive if the archive is damaged or tries to leave the directory, OSError (ENOSPC, EPERM) if the
    machine is at fault. The directory is then incomplete, and the caller must remove it.
    """
    reader = tar.TarReader(stream)
    with Tree(directory, list(lowers)) as tree:
        tree.copy_root_attributes()
        for entry in reader:
            try:
                if aufs.is_bookkeeping(entry.name):
                    _apply_pseudo_link(tree, reader, entry)
                    continue
                path = clean(entry.name)
                if not path:
                    tree.restore_times()
                apply_entry(tree, reader, entry, path)
            except OSError as error:
                if error.errno not in _ARCHIVE_ERRORS:
                    raise
                raise BrokenArchive(f"{entry}: {error.strerror}") from error
        reader.drain()
        tree.remove_scratch(aufs.PSEUDO_LINKS)
        if whiteout.is_opaque(tree.root):
            whiteout.hide_below(tree.directory(b""), tree.lowers)


def clean(name: bytes) -> bytes:
    """Return an archive's name without `.`, `..` and superfluous slashes; the root itself is b"".

    `..` removes the part before it, whatever that is: `.wh.x/../a` is `a`.
    Raises BrokenArchive, with the name in its text, if the name leads above the root, or below the name of a
    whiteout.
    """
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise BrokenArchive(f"{name!r} leads outside the archive's root")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    if any(part.startswith(whiteout.PREFIX) for part in parts[:-1]):
        raise BrokenArchive(f"{name!r} is below a whiteout")
    return b"/".join(parts)


def apply_entry(tree: Tree, reader: tar.TarReader, entry: tar.Entry, path: bytes) -> None:
    """Apply one entry: create an inode, or hide files of the layers below.

    `path` is the cleaned name of the entry. If two entries have the same name, the later one wins; if it replaces
    a whiteout, the files that the whiteout hid stay hidden. Two directories of the same name are one, with the
    attributes of the later entry; the root, too, only gets the attributes of its entry.
    `.wh.<name>` hides a name, `.wh..wh..opq` all names in its directory, of the layers below. Any other name that
    begins with `.wh..wh.` is bookkeeping of aufs, a union file system before overlayfs, and is skipped.
    Raises BrokenArchive if the root is not a directory, or if a whiteout points outside its directory.
    """
    parent, _, name = path.rpartition(b"/")
    if not path:
        if entry.type != tar.DIRECTORY:
            raise BrokenArchive(f"{entry}: the root must be a directory")
        attributes.set_on_name(tree.root, b".", entry)
    elif name == whiteout.OPAQUE_NAME:
        whiteout.make_opaque(tree.directory(parent))
    elif name.startswith(whiteout.METADATA_PREFIX):
        pass
    elif name.startswith(whiteout.PREFIX):
        whiteout.make(tree.directory(parent), whiteout.hidden_name(name))
    else:
        try:
            make_inode(tree, tree.directory(parent), name, reader, entry)
        except FileExistsError:
            was_whiteout = tree.remove(tree.directory(parent), name)
            make_inode(tree, tree.directory(parent), name, reader, entry)
            if was_whiteout:
                whiteout.make(tree.directory(parent), name)


def make_inode(tree: Tree, dirfd: int, name: bytes, reader: tar.TarReader, entry: tar.Entry) -> None:
    """Create the inode that an entry describes, as `name` in the directory `dirfd`.

    Fails with EEXIST if the name exists, unless both are directories.
    """
    if entry.type == tar.REGULAR:
        with linux.closing(os.open(name, _NEW_FILE, 0o600, dir_fd=dirfd)) as fd:
            _write_data(fd, reader, entry)
            attributes.set_on_file(fd, entry)
        return
    if entry.type == tar.HARDLINK:
        _link(tree, dirfd, name, entry)
        attributes.set_xattrs(dirfd, name, entry)  # owner, mode and times are set with the file's own entry
        return
    if entry.type == tar.DIRECTORY:
        try:
            os.mkdir(name, 0o700, dir_fd=dirfd)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=dirfd, follow_symlinks=False).st_mode):
                raise
    elif entry.type == tar.SYMLINK:
        os.symlink(entry.linkname, name, dir_fd=dirfd)
    elif entry.type == tar.FIFO:
        os.mkfifo(name, 0o600, dir_fd=dirfd)
    else:
        kind = stat.S_IFCHR if entry.type == tar.CHARACTER else stat.S_IFBLK
        os.mknod(name, kind | 0o600, os.makedev(*entry.device), dir_fd=dirfd)
    attributes.set_on_name(dirfd, name, entry)


def _link(tree: Tree, dirfd: int, name: bytes, entry: tar.Entry) -> None:
    """Create a hard link to a file of the same layer, or to one of aufs's pseudo-links."""
    path = aufs.pseudo_link(entry.linkname) or clean(entry.linkname)
    parent, _, source = path.rpartition(b"/")
    directory = tree.directory(parent, make=False)
    if stat.S_ISDIR(os.stat(source or b".", dir_fd=directory, follow_symlinks=False).st_mode):
        raise BrokenArchive(f"{entry}: a hard link to a directory")
    os.link(source, name, src_dir_fd=directory, dst_dir_fd=dirfd, follow_symlinks=False)


def _apply_pseudo_link(tree: Tree, reader: tar.TarReader, entry: tar.Entry) -> None:
    """Unpack a pseudo-link of aufs, which is removed at the end of the layer; skip its other bookkeeping."""
    path = aufs.pseudo_link(entry.name)
    if path and entry.type != tar.DIRECTORY:
        apply_entry(tree, reader, entry, path)


def _write_data(fd: int, reader: tar.TarReader, entry: tar.Entry) -> None:
    """Write a file's data at its offsets; blocks of zeros become holes."""
    pieces = iter([(0, entry.size)] if entry.pieces is None else entry.pieces)
    offset = left = end = 0
    for data in reader.data():
        while data:
            while not left:
                offset, left = next(pieces)
            part = data[:left]
            zero = _is_zero(part)
            written = len(part) if zero else os.pwrite(fd, part, offset)
            end = end if zero else offset + written
            offset, left, data = offset + written, left - written, data[written:]
    if end != entry.size:
        os.ftruncate(fd, entry.size)


def _is_zero(part: memoryview) -> bool:
    return part[0] == part[-1] == 0 and len(part) >= tar.BLOCK and bytes(part) == bytes(len(part))
