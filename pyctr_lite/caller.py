"""The process attributes inherited from the caller, and their reset at every entry point.  [hot]

A shell, a service or a program can pass on any value for these, and every process that we start would inherit it.

Set by `settle`, the first call of each entry point (cli/main, the processes of engine/api, labs/kit):
- the umask: 022, so that state, sockets, volumes and mount points get exactly the modes in the code. The caller's
  umask applies only to `--cidfile`, as in Docker's client. (Also as there, `save -o` and `export -o` create files
  of mode 0600, and `cp` keeps the mode of its source.)
- SIGCHLD: default. If it were ignored, the kernel would reap our children and waitpid(2) would not find them;
- blocked signals: none. Otherwise nothing but SIGKILL could end us;
- descriptors 0, 1 and 2: /dev/null if closed. Otherwise the next file opened would be used as one of them;
- the soft limit of open files: raised if it is too low for us, as far as the hard limit allows.

Set when a helper leaves its caller (engine/background), for the helper and the container that it starts, as
Docker's daemon would: session, working directory, cgroup, standard descriptors, signals, OOM score 0,
personality 0, no real-time scheduling. The program inside then gets the default action for every signal and a
session keyring of its own (runtime/init), and no ids, groups and capabilities but those of its options
(runtime/process).

Inherited by the container on purpose, as with podman: nice value, CPU affinity, I/O priority, timer
slack, the OOM score if lowering it is not permitted, resource limits without a --ulimit, no_new_privs, locked
securebits. A child never inherits the parent-death signal, the subreaper attribute, timers or pending signals.
PYTHON* variables and modules in the working directory have no effect: Python runs with -I.
"""

from __future__ import annotations

import _signal
import os
import sys

umask = 0o022
"""The caller's own umask."""


def settle() -> None:
    """Reset the inherited attributes that we rely on. Idempotent, except that it reads the caller's umask."""
    global umask
    umask = os.umask(0o022)
    if _signal.getsignal(_signal.SIGCHLD) != _signal.SIG_DFL:
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            _open_null(fd)
            setattr(sys, name, os.fdopen(fd, mode, closefd=False))
    if os.sysconf("SC_OPEN_MAX") < _MIN_OPEN_FILES:
        _raise_open_files()


_MIN_OPEN_FILES = 256
"""Descriptors that each of our processes may open, if the hard limit allows: few open more than 30."""


def _raise_open_files() -> None:
    import resource  # takes 0.3 ms, and is rarely needed

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = _MIN_OPEN_FILES if hard == resource.RLIM_INFINITY else min(_MIN_OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _open_null(fd: int) -> None:
    """Open /dev/null on a closed descriptor."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != fd:
        os.dup2(null, fd)
        os.close(null)
    os.set_inheritable(fd, True)
