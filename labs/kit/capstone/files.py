"""Checks of the files that COMMAND sees: layers, the old root, volumes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from labs.kit.capstone import layers
from labs.kit.capstone.check import BASE, check, ok, sh
from labs.kit.capstone.world import PYTHON
from labs.kit.checks.expect import expect

if TYPE_CHECKING:
    from labs.kit.capstone.world import World


@check("layers are one tree, the first on top")
def layers_merged(world: World) -> None:
    script = "cat /which; ls -d /middle /gone /bin/sh 2>/dev/null; :"
    done = world.run("top", layers.ODD, "base", "--", "sh", "-c", script)
    found = ok(done, f"three layers, `run top '{layers.ODD}' base -- …`, in /srv").split()
    expect(
        found[:1] == ["top"],
        f"/which is of the layer {found[:1]}, and top is named first: what is lowerdir's order?",
    )
    expect("/middle" in found, "the file /middle of the second layer is not seen: are all layers mounted?")
    expect(
        "/gone" not in found, "top has a whiteout for /gone, and /gone is seen: are the layers mounted or copied?"
    )
    expect("/bin/sh" in found, "/bin/sh of the last layer is not seen: are all layers mounted?")


@check("what it writes is gone afterwards, and no layer changes")
def fresh_upper(world: World) -> None:
    before = layers.describe(world.path("/srv"))
    ok(
        world.run(*sh("echo x > /new; echo x > /which; mkdir /d; rm /gone 2>/dev/null; touch /bin")),
        "writing to /",
    )
    after = layers.describe(world.path("/srv"))
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    expect(not changed, f"below /srv this has changed: {', '.join(changed[:5])}. Where do the writes go?")
    found = ok(world.run(*sh("cat /which; ls /new 2>/dev/null; :")), "a second run").split()
    expect(
        found == ["base"],
        f"a second run sees what the first has written ({' '.join(found)}): how new is its upper?",
    )


@check("nothing of the old root is left inside")
def old_root(world: World) -> None:
    running = world.start(BASE, "--", "sleep", "1000")
    table = world.mounts_around(running.command("sleep", "1000"))
    found = [f"{mount.mountpoint} ({mount.fstype})" for mount in table]
    others = [each for each in found if each not in ("/ (overlay)", "/proc (proc)")]
    expect(
        not others,
        f"in the mount namespace of COMMAND there are {len(others)} more mounts than / and /proc, such as "
        f"{', '.join(others[:3])}: what swaps the roots, and what detaches the old one?",
    )
    expect(
        sorted(found) == ["/ (overlay)", "/proc (proc)"],
        f"the mount namespace of COMMAND should have an overlay on / and a proc on /proc; it has {found}: which "
        "mount is missing, or made twice?",
    )
    names = set(ok(world.run(BASE, "--", "ls", "-A", "/"), "`ls -A /`").split())
    more = sorted(names - {path.name for path in world.path(BASE).iterdir()})
    expect(
        not more,
        f"/ has {', '.join(more)}, which no layer has: does pivot_root need a directory for the old root?",
    )


@check("the mounts of the host stay as they are")
def host_mounts(world: World) -> None:
    before = world.mounts()
    running = world.start("-v", "/srv/data:/data", BASE, "--", "sleep", "1000")
    running.command("sleep", "1000")
    more, fewer = world.mounts() - before, before - world.mounts()
    expect(
        not more,
        f"while COMMAND runs the caller's mount table has {', '.join(sorted(more))} too. / is shared there, as "
        "systemd makes it: what keeps mounts from being told to the host?",
    )
    expect(
        not fewer,
        f"while COMMAND runs the caller has lost {', '.join(sorted(fewer))}: what told the host to unmount?",
    )


@check("a volume is a directory of the host")
def volume(world: World) -> None:
    script = "cat /a/new/point/letter && echo inside > /a/new/point/answer && cat /data/letter"
    done = world.run("-v", "/srv/data:/a/new/point", "-v", "/srv/data:/data", *sh(script))
    found = ok(done, "two volumes whose mount points are not in the image (`-v /srv/data:/a/new/point`)")
    expect(found == "from the host\n" * 2, f"the volume's file reads {found!r} inside: what is mounted there?")
    answer = world.path("/srv/data/answer")
    expect(answer.exists(), "a file written to the volume is not in the host's directory: is it a bind mount?")
    expect(
        answer.read_text() == "inside\n",
        f"the host reads {answer.read_text()!r}, and 'inside\\n' was written: why?",
    )


@check("with :ro it cannot be written to")
def readonly_volume(world: World) -> None:
    script = "cat /data/letter; echo no > /data/letter; touch /data/more; touch /elsewhere && echo end"
    done = world.run("-v", "/srv/data:/data:ro", *sh(script))
    expect(done.output.startswith("from the host\n"), f"with :ro the volume cannot be read: {done.describe()}")
    expect(
        not world.path("/srv/data/more").exists()
        and world.path("/srv/data/letter").read_text() == "from the host\n",
        "with :ro COMMAND could write to the host's directory: mount(2) says when MS_RDONLY of a bind is ignored. "
        "How many calls does it take?",
    )
    try:
        world.path("/srv/data/later").touch()
    except OSError as error:
        expect(
            False,
            f"the host itself cannot write to the directory any more ({error.strerror}): what was remounted?",
        )
    expect(done.output.endswith("end\n"), "with :ro nothing else could be written either: what else is read-only?")


@check("a link in the image leads a volume nowhere else")
def link_to_the_host(world: World) -> None:
    before = world.mounts()
    script = "cat /srv/outside/letter; touch /srv/outside/here"
    done = world.run("-v", "/srv/data:/link", *sh(script))
    expect(
        done.output == "from the host\n",
        f"the image has /link -> /srv/outside. With `-v /srv/data:/link` the volume belongs at /srv/outside of "
        f"the container; it is not there ({done.describe()}): from which root was the link followed?",
    )
    expect(
        world.path("/srv/data/here").exists() and not any(world.path("/srv/outside").iterdir()),
        "what COMMAND writes to /srv/outside does not go to the volume: from which root was the link followed?",
    )
    expect(world.mounts() == before, "a mount is left on the host's /srv/outside")


@check("COMMAND is looked for in the container, not on the host")
def command_of_the_image(world: World) -> None:
    question = "When is PATH searched: before the roots are swapped, or after?"
    done = world.run("/srv/top", BASE, "--", "hello")
    expect(
        done.output == "hello\n",
        f"`hello` is /usr/local/bin/hello of the image, and prints hello: {done.describe()}. {question}",
    )
    host = os.path.basename(PYTHON)
    done = world.run(BASE, "--", host)
    expect(
        done.status == 127,
        f"`{host}` is a program of the host, and not of the image: {done.describe()}. {question}",
    )
