"""What a user can do wrong, as one small family of errors: a message of one line, and a hint."""

from __future__ import annotations


class PyctrError(Exception):
    """An error a person can act on. `message` says what and where, `hint` what to do.

    `exit_code` is None where the verb decides (125 for `run`, 1 for the others, as Docker's).
    """

    exit_code: int | None = None

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotFound(PyctrError):
    """No such image, container, volume or file."""


class Conflict(PyctrError):
    """The name is taken, or the object is in a state that forbids the verb."""


class InvalidArgument(PyctrError):
    """A value that does not parse, or that this machine cannot honour."""


class UsageError(PyctrError):
    """A command line that does not parse: unknown flag, missing argument."""

    exit_code = 125


class BadFilter(UsageError):
    """A `--filter` that is no `key=value`: the command line is wrong, whatever the filters are."""

    def __init__(self, text: str) -> None:
        what = "bad format of filter (expected name=value)"
        super().__init__(f'invalid argument "{text}" for "-f, --filter" flag: {what}')


class BrokenArchive(PyctrError):
    """An archive, blob or layer that is damaged, lies about itself, or tries to leave its root."""


class ProgramError(PyctrError):
    """The container's program cannot be run: 127 where it is not found, 126 where it is not executable."""

    def __init__(self, message: str, hint: str = "", exit_code: int = 126) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code
