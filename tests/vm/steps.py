"""The steps of `make test-vm`, in order: each a function whose first line is its name in the table."""

from __future__ import annotations

import json
import re
import socket
import time
import urllib.request
from typing import TYPE_CHECKING

from labs.kit.exercises import manifest
from labs.kit.exercises.source import of_file
from tests.notebooks import browser
from tests.ports import free_port
from tests.vm.machine import REPOSITORY, Machine

if TYPE_CHECKING:
    from collections.abc import Callable

    Step = Callable[[Machine], str | None]

PYTEST = "cd /vagrant && CI= .venv/bin/python -m pytest -q -p no:cacheprovider"
LAB = 3
SOLVED = ("3.2", "3.5")
"""Those of the lab whose work is the kernel's: mount namespaces, device nodes. tests/labs solves all, natively."""
CHOSEN = ("02",)
SURVIVAL = "moment or quick_program or parallel"
"""Tests that start a hundred containers: minutes under emulation, and no matter of the cgroup version."""


def up(machine: Machine) -> str:
    """vagrant up: boots, is provisioned, every line of make doctor is green"""
    text = machine.vagrant("up")
    assert "✗" not in text, "make doctor found something:\n" + "\n".join(
        line for line in text.splitlines() if "✗" in line
    )
    assert "Ready" in text
    url_in(text)
    hierarchies = machine.inside("stat -fc %T /sys/fs/cgroup").strip()
    assert hierarchies == "cgroup2fs"
    return machine.inside("uname -r").strip()


def provision_again(machine: Machine) -> None:
    """vagrant provision again changes nothing"""
    text = machine.vagrant("provision")
    changed = [line for line in text.splitlines() if "[vm]" in line or "[setup]" in line]
    assert not changed, "\n".join(changed)


def words(machine: Machine) -> None:
    """make's words go into the machine, its exit status comes back, values with blanks arrive"""
    assert "JupyterLab: http://127.0.0.1:" in machine.make("url")
    assert "No rule to make target" in machine.make("no-such-word", status=2)
    text = machine.make("test", "TESTS=tests/vm/nothing.py", "ARGS=--co -k 'a and b'", status=2)
    assert "file or directory not found: tests/vm/nothing.py" in text
    assert "Wrong expression" not in text


def published_port(machine: Machine) -> None:
    """a port that a container publishes in the VM answers at 127.0.0.1 on the laptop"""
    serve = "echo hello from the container >/index.html; httpd -f -h /"
    ports = f"{machine.published}:80"
    machine.inside(f'pyctr_lite run -d --name web -p {ports} busybox sh -c "{serve}"')
    try:
        deadline, text = time.monotonic() + 120, b""
        while not text and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{machine.published}/", timeout=60) as answer:
                    text = answer.read()
            except OSError:
                time.sleep(0.5)  # httpd starts
        assert text == b"hello from the container\n"
    finally:
        machine.inside("pyctr_lite rm -f web")


def terminal(machine: Machine) -> None:
    """at a terminal colours arrive, Ctrl-C ends what runs there, run -it gives a shell, TAB completes"""
    with machine.at_terminal("make", "test", "TESTS=tests/engine/life/test_survival.py", "ARGS=-v") as person:
        person.sees("\x1b[")
        person.sees("::test_")
        person.press("\x03")
        assert person.leaves() != 0
    deadline = time.monotonic() + 60
    while machine.inside("pgrep -fc '[p]ytest.*test_survival'", status=None).strip() != "0":
        assert time.monotonic() < deadline, "pytest goes on in the machine after Ctrl-C"
        time.sleep(1)
    login = ("ssh", "-F", str(machine.checkout / ".vagrant/pyctr/ssh-config"), "-t", "vm")
    with machine.at_terminal(*login, "sudo pyctr_lite run -it --rm busybox") as person:
        person.sees("/ # ")
        person.press("echo pid-$$; exit 7\n")
        person.sees("pid-1")
        assert person.leaves() == 7
    with machine.at_terminal(*login) as person:
        person.sees("vagrant@pyctr")
        person.press("pyctr_lite vers\t; exit\n")
        person.sees("pyctr_lite version")
        person.leaves()


def watch(machine: Machine) -> None:
    """make watch at a terminal checks again when a file is saved on the laptop"""
    exercise = manifest.find("5.1")
    file = machine.checkout / "labs" / exercise.place
    starter = file.read_text()
    with machine.at_terminal("make", "watch", "LAB=5") as person:
        person.sees("to do")
        person.sees("waiting for a change")
        solve(machine, exercise)
        person.sees("passed")
        person.sees("waiting for a change")
        person.press("\x03")
        assert person.leaves() != 0
    file.write_text(starter)


def same_files(machine: Machine) -> None:
    """what is written on one side is read on the other"""
    (machine.checkout / "notebooks/from_host.txt").write_text("from the laptop\n")
    assert machine.inside("cat /vagrant/notebooks/from_host.txt") == "from the laptop\n"
    machine.inside("echo from the machine >/vagrant/notebooks/from_vm.txt")
    assert (machine.checkout / "notebooks/from_vm.txt").read_text() == "from the machine\n"
    for name in ("from_host", "from_vm"):
        (machine.checkout / f"notebooks/{name}.txt").unlink()


def limits(machine: Machine) -> None:
    """lxcfs shows the limit, version 2 kills at it, no disk opens, systemd is untouched, man tells of it"""
    run = "pyctr_lite run --rm"
    shown = machine.inside(f"{run} --lxcfs -m 64m busybox grep MemTotal /proc/meminfo")
    assert shown.split()[1] == "65536"
    machine.inside("grep -q '^complete .*pyctr_lite' /etc/bash_completion.d/pyctr_lite")
    machine.inside(f"{run} -m 32m --memory-swap 32m busybox tail /dev/zero", status=137)
    disk = machine.inside(f'{run} busybox sh -c "mknod /d b 254 0; dd if=/d of=/dev/null bs=1 count=1"', status=1)
    assert "Operation not permitted" in disk
    assert "a container engine" in machine.inside("man -P cat pyctr_lite | head -5")
    machine.inside('test -z "$(ls -d /sys/fs/cgroup/pyctr_lite/*/ 2>/dev/null)"')
    assert machine.inside("systemctl is-system-running", status=None).strip() == "running"


def notebook_in_browser(machine: Machine) -> str:
    """JupyterLab in Chromium, through the forwarded port, runs the first notebook"""
    address = url_in(machine.make("url"))
    first = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))[0].name
    browser.wait_for_server(address.partition("/lab?")[0], machine.log)  # the forwarded port may reset once
    with browser.chromium(machine.log.parent / "chromium") as driver:
        try:
            browser.run_all(driver, address, f"notebooks/{first}")
            found = browser.outputs(driver)
        finally:
            driver.save_screenshot(str(machine.log.parent / "notebook.png"))
    assert found
    assert [output for output in found if output["output_type"] == "error" or output.get("name") == "stderr"] == []
    return first


def token_is_kept(machine: Machine) -> None:
    """another user of the machine finds JupyterLab's token in no process, file, unit or journal"""
    token = url_in(machine.make("url")).partition("token=")[2]
    machine.inside(f"echo {token} >/tmp/decoy")
    assert times_found(machine, token) == 1, "0: the search fails; more: the token is not only in the decoy"
    machine.inside("rm /tmp/decoy")


def times_found(machine: Machine, token: str) -> int:
    """In how many lines of what `nobody` can read, and of the service's journal, a token is."""
    readable = (
        "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; "
        "find /tmp /run /etc /var/tmp /var/log /var/spool /var/lib/pyctr_vm -xdev -type f -readable -size -256k "
        "-exec cat {} +"  # not all of /opt and /var: an emulated machine takes minutes for their packages
    )
    shown = machine.inside(
        "{ systemctl show pyctr-notebook; journalctl -u pyctr-notebook --no-pager; "
        f'setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "{readable}"; }} 2>/dev/null '
        f"| grep -ac {token[:20]}[{token[20]}]{token[21:]}",  # so written, it does not find itself
        status=None,
    )
    return int(shown)


def notebooks(machine: Machine) -> str:
    """the notebook of the chapter that cgroup version 2 and systemd change, under nbval"""
    chosen = [
        path.name for path in sorted((machine.checkout / "notebooks").glob("*.ipynb")) if path.name[:2] in CHOSEN
    ]
    assert chosen
    for name in chosen:
        code = "import sys; from labs.kit.checks import notebooks; "
        code += f'sys.exit(notebooks.run([notebooks.NOTEBOOKS / "{name}"]) or 0)'
        machine.inside(f"cd /vagrant && .venv/bin/python -c '{code}'", seconds=1200)
    return " ".join(name[:2] for name in chosen)


def lab_begun(machine: Machine) -> None:
    """make lab3 with two exercises solved on the laptop: those pass, the others are to do"""
    lab = manifest.find_lab(LAB)
    for id in SOLVED:
        solve(machine, manifest.find(id))
    text = machine.make(f"lab{LAB}")
    states = re.findall(r"^ *(\d\.\d) .* (passed|to do)\b", text, re.MULTILINE)
    expected = [(each.id, "passed" if each.id in SOLVED else "to do") for each in lab.exercises]
    assert states == expected, text[-2000:]


def lab_solved(machine: Machine) -> None:
    """make lab3 solved on the laptop: full, and its notebook runs on it"""
    for exercise in manifest.find_lab(LAB).exercises:
        solve(machine, exercise)
    text = machine.make(f"lab{LAB}")
    assert f"Lab {LAB} is complete" in text, text[-2000:]


def engine_tests(machine: Machine) -> str:
    """cgroup and user namespace tests on pure cgroup version 2 and an older kernel, under systemd"""
    paths = "tests/cgroups/test_group.py tests/cgroups/test_freezer.py tests/cgroups/test_paths.py "
    paths += "tests/cgroups/test_rare.py tests/cgroups/test_systemd_live.py tests/oci/test_cgroups.py "
    paths += "tests/cli/container/test_userns.py"
    return passed_in(machine.inside(f"{PYTEST} {paths} -k 'not ({SURVIVAL})'", seconds=1500))


def whole_suite(machine: Machine) -> str:
    """make test, all of it, in the machine"""
    return passed_in(machine.make("test", seconds=4 * 3600))


def every_notebook(machine: Machine) -> None:
    """make notebooks-test, all of them, in the machine"""
    machine.make("notebooks-test", seconds=2 * 3600)


def halt(machine: Machine) -> None:
    """vagrant halt"""
    machine.vagrant("halt")


def up_copied(machine: Machine) -> None:
    """vagrant up again, with a copied folder: JupyterLab is back at its address"""
    machine.environment["PYCTR_VM_SYNC"] = "rsync"
    address = url_in(machine.vagrant("up")).partition("/lab?")[0]
    browser.wait_for_server(address, machine.log)


def no_work_is_lost(machine: Machine) -> None:
    """an edit in the machine survives vagrant rsync and provision, and comes home"""
    edit(machine, "before rsync")
    machine.vagrant("rsync")
    assert "before rsync" in machine.inside(f"cat /vagrant/{WORK}")
    machine.vagrant("provision")
    assert "before rsync" in read(machine)
    edit(machine, "before a word")
    machine.make("url")
    assert "before a word" in read(machine)
    (machine.checkout / WORK).write_text("newer on the laptop\n")
    machine.make("url")
    assert machine.inside(f"cat /vagrant/{WORK}") == "newer on the laptop\n"
    assert "before a word" in machine.inside(f"cat /vagrant/build/replaced/*/{WORK}")


def no_work_is_lost_by_a_reload(machine: Machine) -> None:
    """an edit in the machine survives vagrant reload"""
    edit(machine, "before reload")
    machine.vagrant("reload")
    assert "before reload" in read(machine)
    assert "before reload" in machine.inside(f"cat /vagrant/{WORK}")


def no_work_is_lost_by_a_halt(machine: Machine) -> None:
    """an edit just before vagrant halt comes home; a word starts it again, its port being taken at another one"""
    edit(machine, "before halt")
    machine.vagrant("halt")
    assert "before halt" in read(machine)
    port = int((machine.checkout / ".vagrant/pyctr/port").read_text())
    with socket.create_server(("127.0.0.1", port)):
        text = machine.make("url")
    assert "the VM is not up" in text
    assert f":{port}/" not in url_in(text)
    browser.wait_for_server(url_in(text).partition("/lab?")[0], machine.log)


def no_work_is_lost_when_it_goes_down(machine: Machine) -> None:
    """a machine that went down by itself is not destroyed: the next vagrant up brings its edits home"""
    edit(machine, "before poweroff")
    machine.inside("sync; systemctl poweroff", status=None)
    deadline = time.monotonic() + 120
    while "shutoff" not in machine.vagrant("status"):
        assert time.monotonic() < deadline, "the machine goes on"
        time.sleep(2)
    text = machine.run("vagrant", "destroy", "-f", seconds=300, status=1)
    assert "before the files edited in it were copied back" in text
    assert "before poweroff" not in read(machine)
    machine.vagrant("up")
    assert "before poweroff" in read(machine)


def watch_copied(machine: Machine) -> None:
    """make watch does so with a copied folder, too"""
    watch(machine)


def results_come_home(machine: Machine) -> None:
    """with a copied folder, what make grade and make reset write is on the laptop, too"""
    file = machine.checkout / "labs" / manifest.find("5.1").place
    text = file.read_text() + "# saved on the laptop\n"
    file.write_text(text)
    machine.make("grade", status=None)
    grades = json.loads((machine.checkout / "build/grade.json").read_text())
    assert grades["of"] == sum(exercise.points for exercise in manifest.exercises())
    machine.make("reset", "LAB=5")
    assert file.read_text() == (manifest.STARTERS / manifest.find("5.1").place).read_text()
    assert [path.read_text() for path in (machine.checkout / "labs/backups").glob("*/diff.py")] == [text]


def destroy(machine: Machine) -> None:
    """vagrant destroy: an edit made just before comes home first, nothing is left"""
    edit(machine, "before destroy")
    machine.vagrant("destroy", "-f")
    assert "before destroy" in read(machine)
    assert "not created" in machine.vagrant("status")


def plain_qemu(machine: Machine) -> None:
    """without Vagrant: plain QEMU boots the disk, JupyterLab answers at the address on the console"""
    box = machine.checkout / "build/box"
    box.mkdir(parents=True)
    (box / "pyctr_lite.qcow2").symlink_to(REPOSITORY / "build/box/pyctr_lite.qcow2")

    with machine.at_terminal("sh", "vagrant/qemu.sh", str(free_port()), str(free_port())) as person:
        shown = person.sees("lab?token=", seconds=900)
        found = re.search(r"JupyterLab: (http://127\.0\.0\.1:\d+)/lab", shown)
        assert found
        browser.wait_for_server(found[1], machine.log)
        person.press("\x01x")  # ends QEMU
        person.leaves()


WORK = "labs/work.txt"


def edit(machine: Machine, text: str) -> None:
    machine.inside(f"echo {text} >>/vagrant/{WORK}")


def read(machine: Machine) -> str:
    path = machine.checkout / WORK
    return path.read_text() if path.exists() else ""


def url_in(text: str) -> str:
    found = re.search(r"JupyterLab: (http://127\.0\.0\.1:\d+/lab\?token=\w+)", text)
    assert found, "no address of JupyterLab in:\n" + text[-1000:]
    return found[1]


def passed_in(text: str) -> str:
    """The closing line of pytest; at least a test must have passed. What was skipped is said, and why."""
    *lines, last = text.strip().splitlines()
    print("\n".join(f"  {line}" for line in lines if line.startswith("SKIPPED")), flush=True)
    assert re.search(r"\d+ passed", last), last
    assert "failed" not in last, last
    return last.strip("= ")


def solve(machine: Machine, exercise: manifest.Exercise) -> None:
    """Put the solved function of an exercise into the laptop's starter, as a learner would write it."""
    path = machine.checkout / "labs" / exercise.place
    starter = of_file(path, exercise.name)
    solved = of_file(REPOSITORY / "tests/labs/solved" / exercise.place, exercise.name)
    assert starter, exercise.place
    assert solved, exercise.place
    path.write_text(path.read_text().replace(starter, solved))


BEGIN: list[Step] = [up, provision_again, words, published_port, terminal, same_files, watch, limits]
COURSE: list[Step] = [notebook_in_browser, token_is_kept, lab_begun, lab_solved]
END: list[Step] = [halt, up_copied, no_work_is_lost]
LONG_END: list[Step] = [
    watch_copied,
    results_come_home,
    no_work_is_lost_by_a_reload,
    no_work_is_lost_by_a_halt,
    no_work_is_lost_when_it_goes_down,
]
EVERY: list[Step] = [
    *(*BEGIN, *COURSE, notebooks, every_notebook, engine_tests, whole_suite, *END, *LONG_END, destroy, plain_qemu),
]
"""In the order in which they can be done."""
LONG: list[Step] = [watch, lab_solved, every_notebook, whole_suite, *LONG_END, plain_qemu]
USUAL: list[Step] = [step for step in EVERY if step not in LONG]
FULL: list[Step] = [step for step in EVERY if step not in (notebooks, engine_tests)]
NEEDED: list[Step] = [up, up_copied]
"""Without these the steps after them cannot be done."""
