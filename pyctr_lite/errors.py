"""Errors a user can act on: a one-line message plus a hint.

All classes, with the exit code that each gives the command. "verb" is the verb's own code for a failure before
the program runs: 125 for `run`, 126 for `exec` in the new process, 1 for the others, as in Docker's client.

    PyctrError              verb
    ├── NotFound            verb
    ├── Conflict            verb
    ├── InvalidArgument     verb
    │   └── TemplateError   64 for `inspect -f` and `events --format`, else verb   (cli)
    ├── UsageError          125; 1 for an unknown command or a wrong number of arguments
    │   └── BadFilter       125
    ├── BrokenArchive       verb
    ├── ProgramError        127 if the program is not found, else 126; 1 for `start`
    ├── ChildError          verb                                                   (runtime)
    └── WriteError          1                                                      (cli)
"""

from __future__ import annotations


class PyctrError(Exception):
    """An error a user can act on. `message` says which object failed and why, `hint` how to fix it.

    `exit_code` is None if the verb decides.
    """

    exit_code: int | None = None

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotFound(PyctrError):
    """No such image, container, volume or file."""


class Conflict(PyctrError):
    """A name already in use, or an object whose state forbids the verb."""


class InvalidArgument(PyctrError):
    """A value that does not parse, or that this machine does not support."""


class UsageError(PyctrError):
    """A command line that does not parse: unknown flag, missing argument."""

    exit_code = 125


class BadFilter(UsageError):
    """A `--filter` that is not `key=value`: invalid for every verb, whichever filters it has."""

    def __init__(self, text: str) -> None:
        reason = "bad format of filter (expected name=value)"
        super().__init__(f'invalid argument "{text}" for "-f, --filter" flag: {reason}')


class BrokenRecord(PyctrError):
    """A file of a container that is damaged, for example by a power failure."""

    def __init__(self, path: str, reason: Exception) -> None:
        text = str(reason).removeprefix(f"{path}: ") if isinstance(reason, ValueError) else "keys are missing"
        super().__init__(f"{path} is damaged: {text}", "repair the file, or remove its directory")


class BrokenArchive(PyctrError):
    """An archive, blob or layer that is damaged, contradicts itself, or tries to leave its root."""


class ProgramError(PyctrError):
    """The container's program cannot run: exit code 127 if it is not found, 126 if it is not executable."""

    def __init__(self, message: str, hint: str = "", exit_code: int = 126) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code
