"""The properties of a bundle's program: the `process` object of the OCI runtime spec."""

from __future__ import annotations

import os
import re
import signal
import struct

import pytest

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import call, processes
from pyctr_lite.runtime import capabilities, labels, process
from tests.runtime.bundles import Box

STATUS = "grep -E '^({})' /proc/self/status"


def test_a_bundle_of_runc_spec_runs(box: Box) -> None:
    done = box.run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 3)


def test_a_programs_death_by_a_signal_is_reported(box: Box) -> None:
    box.linux["namespaces"] = [entry for entry in box.linux["namespaces"] if entry["type"] != "pid"]
    assert box.run("sh", "-c", "kill -9 $$").returncode == -9 % 256
    assert box.run("true").returncode == 0


def test_the_environment_is_exact(box: Box) -> None:
    box.process["env"] = ["PATH=/bin", "A=b c", "EMPTY=", "HOME=/x"]
    assert box.run("/bin/env").stdout.splitlines() == ["PATH=/bin", "A=b c", "EMPTY=", "HOME=/x"]


def test_a_variable_is_set_once_and_an_empty_home_counts_as_none(box: Box) -> None:
    (box.rootfs / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    box.process["env"] = ["ONE=two", "HOME=/override", "ONE=", "A=b\n", "HOME="]
    assert box.run("/bin/env").stdout == "ONE=\nA=b\n\nHOME=/root\n"
    del box.process["env"]
    assert box.run("/bin/env").stdout == "HOME=/root\n"


def test_home_comes_from_the_images_passwd(box: Box) -> None:
    (box.rootfs / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nuser:x:7:7::/home/user:/bin/sh\n")
    assert box.shell("echo $HOME") == "/root\n"
    box.process["user"] = {"uid": 7, "gid": 7}
    assert box.shell("echo $HOME") == "/home/user\n"
    box.process["user"] = {"uid": 8, "gid": 7}
    assert box.shell("echo $HOME") == "/\n"


def test_ids_groups_and_umask_are_set(box: Box) -> None:
    box.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 6], "umask": 0o077}
    assert box.shell("id; umask") == "uid=1000 gid=1001 groups=5,6\n0077\n"
    box.process["user"] = {"uid": 0, "gid": 0, "username": "ignored", "additionalGids": None, "umask": None}
    done = box.run("sh", "-c", "id; umask", preexec_fn=lambda: os.umask(0o027) and None)
    assert done.stdout == "uid=0 gid=0\n0027\n"  # the spec: not changed from the caller's


SETS = ("Inh", "Prm", "Eff", "Bnd", "Amb")


def test_capabilities_are_exactly_those_listed(box: Box) -> None:
    kill, chown, both = 1 << 5, 1 << 0, 1 << 5 | 1 << 0
    box.process["user"] = {"uid": 1000, "gid": 1000}
    box.process["capabilities"] = {
        "bounding": ["CAP_KILL", "CAP_CHOWN"],
        "permitted": ["CAP_KILL", "CAP_CHOWN"],
        "effective": ["CAP_KILL"],
        "inheritable": ["CAP_CHOWN"],
        "ambient": ["CAP_CHOWN"],
    }
    # After an exec an unprivileged user's permitted and effective sets are the ambient set.
    assert _sets(box) == {"Inh": chown, "Prm": chown, "Eff": chown, "Bnd": both, "Amb": chown}
    box.process["user"] = {"uid": 0, "gid": 0}
    box.process["capabilities"] |= {"ambient": [], "inheritable": []}
    assert _sets(box) == {"Inh": 0, "Prm": both, "Eff": both, "Bnd": both, "Amb": 0}
    box.process["capabilities"]["bounding"] = ["CAP_KILL"]
    assert _sets(box)["Eff"] == kill


def test_a_bundle_without_capabilities_has_none(box: Box) -> None:
    del box.process["capabilities"]
    assert set(_sets(box).values()) == {0}


def test_null_sets_are_empty_and_what_cannot_be_granted_is_ignored_with_a_warning(box: Box) -> None:
    sets: dict[str, list[str] | None] = dict.fromkeys(capabilities.SETS)
    box.process["capabilities"] = sets
    assert set(_sets(box).values()) == {0}
    sets |= {"bounding": ["CAP_KILL", "CAP_MOON"], "permitted": ["CAP_KILL"], "ambient": ["CAP_KILL", "CAP_CHOWN"]}
    assert _sets(box) == {"Inh": 0, "Prm": 1 << 5, "Eff": 1 << 5, "Bnd": 1 << 5, "Amb": 0}
    assert capabilities.warnings(sets) == [
        "ignoring unknown or unavailable capabilities: [CAP_MOON]",
        "can't raise ambient capability CAP_CHOWN: it must be permitted and inheritable",
        "can't raise ambient capability CAP_KILL: it must be permitted and inheritable",
    ]
    assert capabilities.warnings({"bounding": ["CAP_KILL"], "ambient": None}) == []


def test_added_capabilities_are_ambient_only_beside_inheritable_ones() -> None:
    assert capabilities.add({}, ["X"]) == {"bounding": ["X"], "effective": ["X"], "permitted": ["X"]}
    given = {"inheritable": ["A"], "bounding": None, "effective": ["A"]}
    assert capabilities.add(given, ["X"]) == {
        "inheritable": ["A"],
        "bounding": ["X"],
        "effective": ["A", "X"],
        "permitted": ["X"],
        "ambient": ["X"],
    }
    assert given["bounding"] is None


def _sets(box: Box) -> dict[str, int]:
    text = box.shell(STATUS.format("Cap"))
    return {line[3:6]: int(line.split()[1], 16) for line in text.splitlines()}


@pytest.mark.parametrize("value", [True, False])
def test_no_new_privileges_is_set_as_configured(box: Box, value: bool) -> None:
    box.process["noNewPrivileges"] = value
    assert box.shell(STATUS.format("NoNewPrivs")).split()[1] == str(int(value))


def test_a_lower_rlimit_is_set_and_a_refused_one_is_named(box: Box) -> None:
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 99}]
    assert box.shell("ulimit -Sn; ulimit -Hn") == "77\n99\n"
    from resource import RLIMIT_MEMLOCK, getrlimit

    hard = getrlimit(RLIMIT_MEMLOCK)[1]
    if hard == -1 or (os.geteuid() == 0 and _has_sys_resource()):
        pytest.skip("no limit is refused on this machine")
    box.process["rlimits"] = [{"type": "RLIMIT_MEMLOCK", "soft": hard + 1, "hard": hard + 1}]
    error = box.fails("true")
    assert f"cannot set RLIMIT_MEMLOCK to {hard + 1}" in error["message"]
    assert "CAP_SYS_RESOURCE" in error["hint"]


def _has_sys_resource() -> bool:
    with open("/proc/self/status") as status:
        found = re.search(r"CapEff:\t(\w+)", status.read())
    return found is not None and bool(int(found[1], 16) >> 24 & 1)


CORE = {"type": "RLIMIT_CORE", "soft": 1, "hard": 1}


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ([{"type": "RLIMIT_MOON", "soft": 1, "hard": 1}], "rlimit RLIMIT_MOON: no such limit"),
        ([{"type": "RLIM_INFINITY", "soft": 1, "hard": 1}], "rlimit RLIM_INFINITY: no such limit"),
        ([{"soft": 1, "hard": 1}], "rlimit None: no such limit"),
        ([CORE, {**CORE, "soft": 0}], "rlimit RLIMIT_CORE is given twice"),
        ([{**CORE, "soft": 2}], "rlimit RLIMIT_CORE: soft 2 is above hard 1"),
        ([{**CORE, "hard": "1"}], "rlimit RLIMIT_CORE: hard must be a number, not '1'"),
        ([{**CORE, "soft": 2**64}], f"rlimit RLIMIT_CORE: soft must be a number, not {2**64}"),
    ],
)
def test_limits_that_cannot_be_meant_are_refused(limits: list[dict[str, object]], message: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        process.check({"rlimits": limits}, {})
    assert raised.value.message == message
    process.check({"rlimits": [{**CORE, "soft": 2**64 - 1, "hard": 2**64 - 1}], "scheduler": None}, {})


def test_a_label_of_a_security_module_that_is_off_is_refused_and_an_empty_one_accepted(box: Box) -> None:
    box.process.update(apparmorProfile="", selinuxLabel=None)
    assert box.run("true").returncode == 0
    for name, enabled, message in (
        ("apparmorProfile", labels.apparmor_enabled(), "apparmor: config provided but apparmor not supported"),
        (
            "selinuxLabel",
            labels.selinux_enabled(),
            "selinux label is specified in config, but selinux is disabled",
        ),
    ):
        if not enabled:
            with pytest.raises(InvalidArgument, match=message):
                process.check({name: "x"}, {})


def test_the_oom_score_is_set(box: Box) -> None:
    box.process["oomScoreAdj"] = 321
    assert box.shell("cat /proc/self/oom_score_adj") == "321\n"
    box.process["oomScoreAdj"] = -1000
    if not _has_sys_resource():
        assert "--oom-score-adj -1000" in box.fails("true")["message"]


def test_a_missing_working_directory_is_made_even_in_a_read_only_root(box: Box) -> None:
    box.process["cwd"] = "/srv/new/dir"
    box.config["root"]["readonly"] = True
    assert box.shell("pwd; touch x 2>/dev/null || echo read-only") == "/srv/new/dir\nread-only\n"
    assert (box.rootfs / "srv/new/dir").stat().st_mode & 0o7777 == 0o755


def test_a_working_directory_closed_to_the_user_is_entered_as_root(box: Box) -> None:
    (box.rootfs / "root").chmod(0o700)
    box.process.update(cwd="/root", user={"uid": 1000, "gid": 1000})
    assert box.shell("pwd") == "/root\n"


@pytest.mark.parametrize("cwd", ["/proc/self/fd/{}", "/proc/self/fd/{}/new", "/proc/self/root", "/link/x"])
def test_a_working_directory_behind_a_magic_link_is_refused(box: Box, cwd: str) -> None:
    """CVE-2024-21626: a leaked descriptor of the host is not a way out."""
    outside = box.directory / "outside"
    outside.mkdir()
    fd = os.open(outside, os.O_RDONLY)
    (box.rootfs / "link").symlink_to(f"/proc/self/fd/{fd}")
    try:
        box.process["cwd"] = cwd.format(fd)
        error = box.fails("true", pass_fds=(fd,))
    finally:
        os.close(fd)
    assert error["message"].startswith(f"working directory {cwd.format(fd)}: ")
    assert list(outside.iterdir()) == []


def test_a_file_as_working_directory_is_refused(box: Box) -> None:
    box.process["cwd"] = "/bin/busybox"
    assert box.fails("true")["message"] == "working directory /bin/busybox: not a directory"


def test_only_three_descriptors_are_open(box: Box) -> None:
    fd = os.open(box.directory, os.O_RDONLY)
    os.set_inheritable(fd, True)
    script = "for n in $(seq 3 40); do [ -e /proc/$$/fd/$n ] && echo $n; done; echo end"
    try:
        assert box.run("sh", "-c", script, pass_fds=(fd,)).stdout == "end\n"
        assert box.run("sh", "-c", f"exec 6</bin/sh; {script}", pass_fds=(fd,)).stdout == "6\nend\n"
    finally:
        os.close(fd)


def test_a_terminal_is_the_containers_own(box: Box) -> None:
    box.process["terminal"] = True
    done = box.run("sh", "-c", "tty; stty size; ls -l /dev/console | cut -c1", terminal=True)
    assert done.stdout.splitlines() == ["/dev/pts/0", "24 80", "c"]
    assert box.run("tty").stdout == "not a tty\n"


def test_host_and_domain_name_are_set_inside_only(box: Box) -> None:
    before = os.uname().nodename
    box.config |= {"hostname": "inside", "domainname": "example"}
    assert box.shell("hostname; cat /proc/sys/kernel/domainname") == "inside\nexample\n"
    assert os.uname().nodename == before


def test_no_signal_stays_ignored_or_blocked(box: Box) -> None:
    """Includes the signals that the C library reserves, which the caller may have left ignored."""
    ignore = struct.pack("P24x", 1)  # SIG_IGN, in the kernel's struct sigaction
    numbers = (signal.SIGPIPE, signal.SIGRTMIN - 1, signal.SIGRTMAX)

    def ignore_some() -> None:
        for number in numbers:
            call.look("rt_sigaction", None, call.syscall, processes._NR_RT_SIGACTION, number, ignore, None, 8)
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    text = box.run("grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status", preexec_fn=ignore_some).stdout
    assert {int(line.split()[1], 16) for line in text.splitlines()} == {0}
