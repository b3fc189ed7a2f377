"""Build the course's own Vagrant box from Debian's packages: `make box`, as root, on Debian, x86-64.

    build/box/pyctr_lite.qcow2   the disk, which plain QEMU can boot (with --raw: pyctr_lite.raw, for `dd`)
    build/box/pyctr_lite.box     the same disk as a box for vagrant-libvirt
    build/box/box.json           its name and version, for `vagrant up`

The box contains everything that the course needs: the packages, .venv, the image busybox:latest, a copy of this
checkout. Neither a loop device nor a virtual machine is needed: Debian is unpacked in a directory and provisioned
there in a chroot by the same script that `vagrant up` runs (vagrant/provision.sh), and mkfs.ext4 writes that
directory into a file. A second run repeats only the steps whose inputs have changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
BOX = CHECKOUT / "build/box"
ROOT = BOX / "private/root"
"""The box's file system. Only root may enter its parent directory, so that nobody can run its setuid programs."""
SUITE = "bookworm"
HOST_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
MIRROR = "http://deb.debian.org/debian"
DISK_BYTES = 10 << 30
FIRST_SECTOR = 2048
SECTOR_BYTES = 512
GRUB = Path("/usr/lib/grub/i386-pc")
GRUB_MODULES = ["biosdisk", "part_msdos", "ext2", "normal", "linux", "configfile", "boot"]
KERNEL_OPTIONS = "root=/dev/vda1 ro quiet console=tty0 console=ttyS0 net.ifnames=0 mitigations=off"
"""Mitigations are off, because the VM's only user is root anyway, and they are expensive under emulation."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make box", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--raw", action="store_true", help="also leave the raw disk")
    parser.add_argument("--fresh", action="store_true", help="start from nothing")
    options = parser.parse_args()
    if os.geteuid() != 0:
        return fail("make box needs root, to unpack files with their owners and device nodes: sudo make box")
    if platform.machine() != "x86_64":
        return fail("make box supports only x86-64; on other machines `vagrant up` uses a public box")
    BOX.mkdir(parents=True, exist_ok=True)
    if options.fresh:
        remove_root()
    began = time.monotonic()
    debian, content = digest_of_debian(), digest_of_checkout()
    if not is_stamped("root.digest", debian):
        remove_root()
        bootstrap_debian()
        stamp("root.digest", debian)
    wanted = f"{debian} {content}"
    if is_stamped("disk.digest", wanted) and (BOX / "pyctr_lite.box").exists() and not options.raw:
        say(f"{BOX / 'pyctr_lite.box'} is up to date")
        return 0
    (BOX / "disk.digest").unlink(missing_ok=True)
    bake()
    write_disk()
    write_box()
    if not options.raw:
        (BOX / "pyctr_lite.raw").unlink()
    stamp("disk.digest", wanted)
    megabytes = (BOX / "pyctr_lite.box").stat().st_size >> 20
    say(f"{BOX / 'pyctr_lite.box'}: {megabytes} MB, in {time.monotonic() - began:.0f} s")
    return 0


def say(text: str) -> None:
    print(f"[box] {text}", file=sys.stderr, flush=True)


def fail(text: str) -> int:
    print(f"[box] error: {text}", file=sys.stderr)
    return 1


def run(*command: str | Path, **options: object) -> None:
    """Run a program to its end; its output goes to the terminal. Fails with CalledProcessError."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **options)  # type: ignore[call-overload]


# The inputs, and whether they have changed


def digest_of_debian() -> str:
    """Digest the inputs of the unpacked Debian: the packages, their sources, this script."""
    inputs = [Path(__file__).read_bytes(), " ".join(packages()).encode(), sources().encode()]
    return hashlib.sha256(b"\0".join(inputs)).hexdigest()


def digest_of_checkout() -> str:
    """Digest all files that git tracks or would track here: name, mode and content."""
    digest = hashlib.sha256()
    for name in files_of_checkout():
        path = CHECKOUT / name
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        digest.update(f"{name}\0{path.lstat().st_mode:o}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def files_of_checkout() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        check=True,
    )
    names = sorted(set(os.fsdecode(listed.stdout).split("\0")) - {""})
    return [name for name in names if os.path.lexists(CHECKOUT / name)]


def packages() -> list[str]:
    """Return the Debian packages of the box: the groups setup, test and guest of make/packages."""
    words = [line.split() for line in (CHECKOUT / "make/packages").read_text().splitlines()]
    return sorted({word[1] for word in words if word and word[0] in ("setup", "test", "guest")})


def sources() -> str:
    """Return this machine's own Debian sources if they have the suite, because their mirror is reachable."""
    here = HOST_SOURCES.read_text() if HOST_SOURCES.exists() else ""
    return here if SUITE in here else f"deb {MIRROR} {SUITE} main\ndeb {MIRROR} {SUITE}-updates main\n"


def is_stamped(name: str, digest: str) -> bool:
    path = BOX / name
    return path.exists() and path.read_text() == digest


def stamp(name: str, digest: str) -> None:
    (BOX / name).write_text(digest)


# The file system


def remove_root() -> None:
    for name in ("root.digest", "disk.digest"):
        (BOX / name).unlink(missing_ok=True)
    if ROOT.exists():
        if f" {ROOT}/" in Path("/proc/self/mountinfo").read_text():
            sys.exit(fail(f"something is still mounted below {ROOT}"))
        shutil.rmtree(ROOT)


def bootstrap_debian() -> None:
    ROOT.parent.mkdir(exist_ok=True)
    ROOT.parent.chmod(0o700)
    say(f"unpacking Debian {SUITE}: {len(packages())} packages and their dependencies")
    with tempfile.TemporaryDirectory() as directory:
        listed = Path(directory) / ("debian.sources" if sources().startswith("Types:") else "sources.list")
        listed.write_text(sources())
        run(
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            '--aptopt=APT::Install-Recommends "false"',
            '--aptopt=Acquire::Retries "3"',
            *(f"--aptopt={line}" for line in host_apt_options()),
            f"--include={','.join(packages())}",
            SUITE,
            ROOT,
            listed,
        )


def host_apt_options() -> list[str]:
    """Return this machine's apt options for reaching and checking its mirror (a proxy, an old snapshot)."""
    dump = subprocess.run(["apt-config", "dump", "Acquire"], stdout=subprocess.PIPE, text=True, check=True)
    wanted = ("Acquire::Check-", "Acquire::http::Proxy", "Acquire::https::Proxy")
    return [line.rstrip(";") for line in dump.stdout.splitlines() if line.startswith(wanted) and '""' not in line]


def bake() -> None:
    """Provision the tree in a chroot, in a new mount namespace that takes all mounts with it."""
    copy_checkout(ROOT / "opt/pyctr_lite")
    fetch_wheels()
    say("provisioning Debian")
    run("unshare", "--mount", "--propagation=private", "sh", CHECKOUT / "vagrant/bake.sh", ROOT, BOX / "wheels")


def copy_checkout(target: Path) -> None:
    if target.exists():
        shutil.rmtree(target)
    for name in files_of_checkout():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / name, target / name, follow_symlinks=False)


def fetch_wheels() -> None:
    """Download the packages for .venv with this machine's pip, which can reach an index."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *extras["course"]]
    names = BOX / "wheels.txt"
    names.write_text("\n".join(wanted) + "\n")
    if is_stamped("wheels.digest", names.read_text()):
        return
    version = next((ROOT / "usr/lib").glob("python3.*")).name.removeprefix("python")
    say(f"fetching {len(wanted)} Python packages and their dependencies, for Python {version}")
    run(
        *(sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--retries", "3"),
        *("--python-version", version, "--only-binary", ":all:", "--dest", BOX / "wheels", "-r", names),
    )
    stamp("wheels.digest", names.read_text())


# The disk


def write_disk() -> None:
    """Write a disk that any BIOS can boot: GRUB, and one bootable partition that contains the tree."""
    raw = BOX / "pyctr_lite.raw"
    say("writing the disk")
    raw.unlink(missing_ok=True)
    with open(raw, "wb") as disk:
        disk.truncate(DISK_BYTES)
    table = f"label: dos\nstart={FIRST_SECTOR}, type=83, bootable\n"
    subprocess.run(["sfdisk", "--quiet", raw], input=table, text=True, check=True)
    offset = FIRST_SECTOR * SECTOR_BYTES
    write_grub_configuration()
    run(
        *("mkfs.ext4", "-q", "-F", "-L", "pyctr_lite", "-E", f"offset={offset},lazy_itable_init=0"),
        *("-d", ROOT, raw, f"{(DISK_BYTES - offset) // 1024}k"),
    )
    install_grub(raw)
    say("compressing the disk")
    new = BOX / "pyctr_lite.qcow2.new"
    run("qemu-img", "convert", "-c", "-m", "4", "-W", "-O", "qcow2", "-f", "raw", raw, new)
    new.rename(BOX / "pyctr_lite.qcow2")


def write_grub_configuration() -> None:
    """Boot the newest kernel, by the links that Debian keeps in /."""
    (ROOT / "boot/grub").mkdir(exist_ok=True)
    (ROOT / "boot/grub/grub.cfg").write_text(
        f"set timeout=0\nmenuentry Debian {{\n  linux /vmlinuz {KERNEL_OPTIONS}\n  initrd /initrd.img\n}}\n"
    )
    shutil.copytree(GRUB, ROOT / "boot/grub/i386-pc", dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.image"))


def install_grub(raw: Path) -> None:
    """Write boot.img to the first 440 bytes and core.img after it: grub-install without a block device."""
    core = BOX / "core.img"
    run("grub-mkimage", "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub", "-o", core, *GRUB_MODULES)
    if core.stat().st_size > (FIRST_SECTOR - 1) * SECTOR_BYTES:
        raise ValueError(f"{core} does not fit before the first partition")
    with open(raw, "r+b") as disk:
        disk.write((GRUB / "boot.img").read_bytes()[:440])
        disk.seek(SECTOR_BYTES)
        disk.write(core.read_bytes())
    core.unlink()


# The box


def write_box() -> None:
    """Pack metadata.json and box.img as vagrant-libvirt expects them, with a higher version each time."""
    say("packing the box")
    metadata = {"provider": "libvirt", "format": "qcow2", "virtual_size": DISK_BYTES >> 30}
    with tempfile.TemporaryDirectory(dir=BOX) as directory:
        described = Path(directory) / "metadata.json"
        described.write_text(json.dumps(metadata))
        new = Path(directory) / "new.box"
        with tarfile.open(new, "w") as tar:  # not compressed, because the disk already is
            tar.add(described, "metadata.json")
            tar.add(BOX / "pyctr_lite.qcow2", "box.img")
        new.rename(BOX / "pyctr_lite.box")
    write_box_json()


def write_box_json() -> None:
    """Describe the box. Vagrant caches disks by name and version: the same version would give the old disk."""
    with open(BOX / "pyctr_lite.box", "rb") as box:
        checksum = hashlib.file_digest(box, "sha256").hexdigest()
    provider = {
        "name": "libvirt",
        "url": f"file://{BOX / 'pyctr_lite.box'}",
        "checksum": checksum,
        "checksum_type": "sha256",
    }
    version = time.strftime("%Y%m%d.%H%M%S.0", time.gmtime())
    described = {"name": "pyctr_lite", "versions": [{"version": version, "providers": [provider]}]}
    (BOX / "box.json").write_text(json.dumps(described, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
