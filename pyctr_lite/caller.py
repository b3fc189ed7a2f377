"""What a process gets from whoever starts it: what we rely on is set at our entry, in this one place.  [hot]

A shell, a service or a program can hand over anything here, and all of it would reach each process that we start.

Set by `settle`, the first call of each entry (cli/main, engine/api/helper, labs/kit):
- the umask: 022, so that state, sockets, volumes and mount points have the modes that their code says. The
  caller's counts where Docker's client heeds it: for `--cidfile`. (As there, `save -o` and `export -o` make files
  of mode 0600, and `cp` those of its source.)
- SIGCHLD: ignored, the kernel would reap our children, and waitpid(2) would not find them;
- blocked signals: none, or nothing but SIGKILL would end us;
- descriptors 0, 1 and 2: /dev/null when closed, or the next file that is opened would be taken for one of them;
- a soft limit of open files too low for us is raised, as far as the hard one allows.

Set when a helper leaves its caller (engine/background), for it and for the container that it starts, as Docker's
daemon would: session, working directory, cgroup, standard descriptors, signals, OOM score 0, personality 0, no
real-time scheduling. The program inside then gets every signal at its default and a session keyring of its own
(runtime/init), and only those ids, groups and capabilities that its options say (runtime/process).

Inherited by the container by choice, as from podman and runc: nice value, CPU affinity, I/O priority, timer slack,
OOM score where it may not be lowered, resource limits that no --ulimit sets, no_new_privs, locked securebits.
A child never inherits the parent-death signal, being a subreaper, timers, or pending signals. PYTHON* variables
and modules in the working directory are not heard: Python runs with -I.
"""

from __future__ import annotations

import _signal
import os
import sys

umask = 0o022
"""What the caller keeps from others of the files that it makes."""


def settle() -> None:
    """Set what we rely on of our process, whoever has started it. Idempotent, but for the caller's umask."""
    global umask
    umask = os.umask(0o022)
    if _signal.getsignal(_signal.SIGCHLD) != _signal.SIG_DFL:
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            _open_null(fd)
            setattr(sys, name, os.fdopen(fd, mode, closefd=False))
    if os.sysconf("SC_OPEN_MAX") < _OPEN_FILES:
        _raise_open_files()


_OPEN_FILES = 256
"""Descriptors that each of our processes can count on where the hard limit allows: few have more than 30."""


def _raise_open_files() -> None:
    import resource  # 0.3 ms that a usual caller does not cost

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _open_null(fd: int) -> None:
    """Make a descriptor that is closed /dev/null."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != fd:
        os.dup2(null, fd)
        os.close(null)
    os.set_inheritable(fd, True)
