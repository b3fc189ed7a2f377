"""Checks of what COMMAND is given: arguments, descriptors, signals, namespaces; and of its exit status."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from labs.kit.capstone.check import BASE, check, nothing_left, ok, one_line, sh
from labs.kit.checks.expect import expect

if TYPE_CHECKING:
    from labs.kit.capstone.world import World

HOST_NAME = "capstone"
ENVIRONMENT = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
NAMESPACES = ("ipc", "mnt", "net", "pid", "uts")


@check("a command runs, and its exit status is the program's")
def exit_status(world: World) -> None:
    done = world.run(BASE, "--", "true")
    expect(done.status == 0, f"`run {BASE} -- true` was to exit with 0: {done.describe()}\n    Which step fails?")
    for status in (7, 255):
        done = world.run(*sh(f"exit {status}"))
        expect(
            done.status == status,
            f"COMMAND exits with {status}, the program: {done.describe()}. Who waits for COMMAND, and where does "
            "its status go?",
        )


@check("standard input, output and error pass through, byte for byte")
def bytes_through(world: World) -> None:
    data = bytes(range(256)) * 600
    done = world.run(BASE, "--", "cat", input=data)
    expect(
        done.status == 0 and done.bytes == data,
        f"`cat` was given {len(data)} bytes on standard input, and {len(done.bytes)} came back "
        f"({done.describe()}). Are descriptors 0 and 1 of COMMAND still those of the caller?",
    )
    done = world.run(*sh("echo out; echo err >&2"))
    expect(
        (done.output, done.errors) == ("out\n", "err\n"),
        f"COMMAND writes out to 1 and err to 2; the caller reads {done.output!r} from 1 and {done.errors!r} from "
        "2: what else is written, or what is lost?",
    )


@check("arguments arrive as they were given")
def arguments(world: World) -> None:
    wanted = ["", "a b", "--", "-m", "-v", "*", "$HOME", "é\n", "end"]
    done = world.run(*sh('for each; do printf "<%s>" "$each"; done'), "sh", *wanted)
    expected = "".join(f"<{word}>" for word in wanted)
    expect(
        done.status == 0 and done.output == expected,
        f"the arguments are {expected!r}, COMMAND sees {done.output!r} ({done.describe()}): where do yours end "
        "and COMMAND's begin?",
    )


@check("a command killed by a signal: 128 + its number")
def signal_status(world: World) -> None:
    running = world.start(BASE, "--", "sleep", "1000")
    os.kill(running.command("sleep", "1000"), signal.SIGKILL)
    done = running.finish()
    expect(
        done.status == 137,
        f"COMMAND was killed by signal 9; a shell shows 137, the program: {done.describe()}. What does waitpid "
        "report for a signal, and what may exit(2) be given?",
    )


@check("no such command: 127; one that cannot be executed: 126")
def missing_command(world: World) -> None:
    odd = os.fsdecode(b"no\xffsuch")
    for command, status in (("nosuch", 127), ("/bin/nosuch", 127), (odd, 127), ("/etc/motd", 126), ("/etc", 126)):
        done = world.run(BASE, "--", command)
        command = ascii(command)[1:-1]
        expect(
            done.status == status,
            f"`run {BASE} -- {command}` was to exit with {status}: {done.describe()}. In which process is the "
            "error of exec, and what does it exit with?",
        )
        one_line(done, f"about {command}")
        nothing_left(world, f"after `run {BASE} -- {command}`")


@check("an environment, directory and descriptors of its own")
def clean_start(world: World) -> None:
    found = set(ok(world.run(BASE, "--", "env"), "`env`").split("\n")) - {""}
    expect(
        found == ENVIRONMENT,
        f"the environment of COMMAND should be {sorted(ENVIRONMENT)}, it is {sorted(found)}: whose variables are "
        "these?",
    )
    cwd = ok(world.run(BASE, "--", "pwd"), "`pwd`")
    expect(cwd == "/\n", f"COMMAND begins in {cwd.strip()}, and not in /: who has changed the directory last?")
    fd = os.open("/dev/null", os.O_RDONLY)
    try:
        running = world.start(BASE, "--", "sleep", "1000", descriptors=(fd,))
        pid = running.command("sleep", "1000")
        open_fds = sorted(os.listdir(f"/proc/{pid}/fd"), key=int)
        names = [f"{name} ({os.readlink(f'/proc/{pid}/fd/{name}')})" for name in open_fds if int(name) > 2]
    finally:
        os.close(fd)
    expect(
        not names,
        f"besides 0, 1 and 2 COMMAND has the descriptors {', '.join(names)}: what could it reach through them?",
    )


@check("every signal is as at the beginning: none blocked, none ignored")
def signals(world: World) -> None:
    found = ok(world.run(BASE, "--", "cat", "/proc/self/status"), "`cat /proc/self/status`")
    for line, what in (("SigBlk", "blocked"), ("SigIgn", "ignored")):
        mask = next((int(each.split()[1], 16) for each in found.splitlines() if each.startswith(line)), 0)
        numbers = [str(number) for number in range(1, 65) if mask >> (number - 1) & 1]
        expect(
            not numbers,
            f"COMMAND begins with {what} signals: {', '.join(numbers)} ({line} of its /proc/self/status). Which "
            "of your calls, or of Python's own, did that, and does exec undo it?",
        )


@check("COMMAND is PID 1, in a /proc of its own")
def first_process(world: World) -> None:
    pid = ok(world.run(*sh("echo $$")), "`echo $$`").strip()
    expect(pid == "1", f"COMMAND is process {pid}, not 1: in which process does a new pid namespace begin?")
    found = ok(world.run(*sh("cat /proc/self/status; :")), "`cat /proc/self/status`")
    parent = next((line.split()[1] for line in found.splitlines() if line.startswith("PPid")), "")
    expect(
        parent == "1", f"/proc/self/status shows the parent {parent or 'of nobody'}, not 1: whose /proc is this?"
    )
    listed = ok(world.run(*sh("cd /proc; ls -d [0-9]*")), "`ls /proc`").split()
    expect(
        set(listed) <= {"1", "2", "3"},
        f"/proc lists {len(listed)} processes, among them {listed[-1]}: of which pid namespace is it?",
    )


@check("five namespaces of its own, and its own host name")
def namespaces(world: World) -> None:
    running = world.start(BASE, "--", "sleep", "1000")
    pid = running.command("sleep", "1000")
    same = [
        kind
        for kind in NAMESPACES
        if os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/{world.keeper}/ns/{kind}")
    ]
    expect(not same, f"COMMAND shares these namespaces with the caller: {', '.join(same)}. Which flag makes each?")
    name = ok(world.run(BASE, "--", "hostname"), "`hostname`").strip()
    expect(
        name == HOST_NAME, f"the host name inside is {name!r}, and should be {HOST_NAME!r}: who sets it, and when?"
    )


@check("its loopback interface is up")
def loopback(world: World) -> None:
    shown = ok(world.run(BASE, "--", "ifconfig", "lo"), "`ifconfig lo`")
    expect(
        "UP" in shown,
        "`ifconfig lo` inside shows no UP: a new network namespace has lo, but down. What is missing?",
    )
    expect("127.0.0.1" in shown, f"lo has no address 127.0.0.1:\n{shown}\n    who gives it one?")
