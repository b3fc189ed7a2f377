"""A learner's function as a check has it: it is called in a process of the arena, and each call is looked over.

Whatever a check asks for, these hold for every call, and fail the check with what was observed if they do not:

- the arguments are as before, all the way down, and so is what the call before it returned;
- no descriptor is left open or closed, no child process left behind, on success and when it raises;
- working directory, root, umask, signals and namespaces of the caller are as before;
- it returns within its time, in the process that called it, and raises nothing that the check did not ask for;
- of a pure function: the same arguments give the same answer again, in a new process and in another order.

What a function is there to change is allowed by the check: `yours.allow(opens=1)`.
"""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from labs.kit.checks.arena import SECONDS_A_CALL, Answer, Arena, Died, Fd, Garbled, Hung, Pending, Process, Raised
from labs.kit.checks.expect import CheckFailed, errno_name, expect
from labs.kit.checks.syscalls import Fault, Watch
from labs.kit.exercises import manifest
from labs.kit.isolation import sandbox
from labs.kit.subject import codec
from labs.kit.subject.process import CAME_BACK, THREW

_STATUS = ("Umask", "SigBlk", "SigIgn", "SigCgt", "Threads", "Uid", "Gid", "NoNewPrivs", "CapEff")


@dataclass(frozen=True)
class Allowed:
    """The changes that a call may make in its process: descriptors, children, arguments, and the rest."""

    opens: int = 0
    children: bool = False
    arguments: bool = False
    moves: tuple[str, ...] = ()
    """Of "cwd", "root", "umask", "signals", "ids", "namespaces"."""


class Function:
    """A learner's function in one process."""

    def __init__(self, process: Process, name: str, allowed: Allowed) -> None:
        self.process, self.name, self.allowed = process, name, allowed

    def allow(self, **more: Any) -> None:
        """Allow what the function is there to change (see `Allowed`)."""
        self.allowed = replace(self.allowed, **more)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it: what it returns. A check fails if it raises."""
        return self._value(self.answer(args, kwargs))

    def scene(self, scene: str, *args: Any, **kwargs: Any) -> Any:
        """Call a function of the lab's scenes.py in the process, with the learner's as its first argument."""
        return self._value(self.answer(args, kwargs, scene=scene))

    def raises(self, kind: type[BaseException], *args: Any, about: str, number: int = 0, **kwargs: Any) -> Raised:
        """Call it, and fail the check unless it raises this (with this errno): `about` says why it should."""
        return self.refused(self.answer(args, kwargs), kind, about, number, self._shown(args, kwargs))

    def refused(
        self, answer: Answer, kind: type[BaseException], about: str, number: int = 0, call: str = ""
    ) -> Raised:
        """Fail the check unless an answer is an exception of this class (with this errno)."""
        wanted = f"{kind.__name__} ({errno_name(number)})" if number else kind.__name__
        call = call or f"{self.name}(…)"
        if answer.raised is None:
            raise CheckFailed(f"{call} gives {answer.value!r}; it should raise {wanted}. {about}")
        if answer.raised.name == "ReferenceCalled":
            raise CheckFailed(answer.raised.text)
        if not answer.raised.is_a(kind):
            raise CheckFailed(f"{call} raises\n    {answer.raised}\nIt should raise {wanted}. {about}")
        if number and answer.raised.errno != number:
            raise CheckFailed(
                f"{call} raises\n    {answer.raised}\nIts errno should be {errno_name(number)}. {about}"
            )
        _fits(answer.raised, call)
        return answer.raised

    def answer(
        self,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        scene: str = "",
        watch: Watch | None = None,
        seconds: float = SECONDS_A_CALL,
    ) -> Answer:
        """Call it, whatever comes of it: only what holds for every call is looked over."""
        with self._looked_over(args, kwargs or {}) as pending, self._told(seconds):
            pending.append(self.process.begin(args, kwargs or {}, scene, watch, seconds))
            pending.append(pending[0].answer())
        answer: Answer = pending[1]
        return answer

    def begin(self, *args: Any, scene: str = "", seconds: float = SECONDS_A_CALL, **kwargs: Any) -> Pending:
        """Begin a call and go on: `answer()` of what is returned waits for it. It is not looked over."""
        with self._told(seconds):
            return self.process.begin(args, kwargs, scene, None, seconds)

    def _value(self, answer: Answer) -> Any:
        if answer.raised is not None:
            raise CheckFailed(str(answer.raised), answer.raised.traceback)
        return answer.value

    @contextlib.contextmanager
    def _told(self, seconds: float = SECONDS_A_CALL) -> Iterator[None]:
        """A process that died or hangs, in the learner's terms."""
        try:
            yield
        except Died as death:
            raise CheckFailed(f"{self.name} did not return: {how_it_ended(death.status)}") from None
        except Garbled:
            raise CheckFailed(
                f"what came back from {self.name}'s process is not an answer: does it write to descriptors that "
                "it did not open, or change what it does not own?"
            ) from None
        except Hung as hung:
            line = f"\n    {hung}" if str(hung) else ""
            raise CheckFailed(
                f"{self.name} did not return within {seconds} s, and was stopped: "
                f"what does it wait for, or loop on?{line}"
            ) from None

    @contextlib.contextmanager
    def _looked_over(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[list[Any]]:
        before, given = State(self.process), (_plain(args), _plain(kwargs))
        pending: list[Any] = []
        yield pending
        answer: Answer = pending[1]
        if not self.allowed.arguments:
            _unchanged(given, (answer.args, answer.kwargs), self.name)
        expect(
            not answer.spoiled,
            f"a second call of {self.name} has changed what the first one returned: the caller still has it. "
            "Which list or dictionary do you return, and who else has it?",
        )
        raised = f" when it raises {answer.raised.name}" if answer.raised else ""
        sent = _numbers((args, kwargs), (answer.args, answer.kwargs))
        State(self.process).compare(
            before, self.allowed, sent, f"after {self.name}{raised}", answer.raised is None
        )

    def _shown(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        words = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
        text = re.sub(r"<pyctr_lite[.\w]*\.(\w+) object at \w+>", r"<\1>", f"{self.name}({', '.join(words)})")
        return text if len(text) < 100 else f"{self.name}(…)"


def how_it_ended(status: int | None) -> str:
    """How a process ended that should have answered."""
    if status is None:
        return "its process has ended"
    if status in (CAME_BACK, THREW):
        return "two processes came out of it; the one that was forked in it must not"
    if status == -9:
        return f"its process was killed: it used more than {sandbox.MEMORY >> 20} MiB of memory, or killed itself"
    if status < 0:
        return f"its process was killed by signal {-status}"
    return f"its process ended with exit status {status}: does it call exit?"


class State:
    """A process between two calls, as the judge sees it."""

    def __init__(self, process: Process) -> None:
        self.descriptors = process.descriptors()
        self.children = process.children()
        self.lines = process.status(*_STATUS)
        self.paths = process.paths()
        self.namespaces = process.namespaces()

    def compare(self, before: State, allowed: Allowed, sent: list[int], when: str, returned: bool) -> None:
        """Fail the check if more has changed than a call may change."""
        closed = sorted(set(before.descriptors) - set(self.descriptors))
        expect(not closed, f"{when} descriptor {_list(closed)} of the caller is closed: whose is it?")
        expect(
            self.descriptors.keys() >= set(sent),
            f"{when} a descriptor that was given as an argument is closed: whose is it?",
        )
        known = before.descriptors.keys() | set(sent)
        new = {fd: what for fd, what in self.descriptors.items() if fd not in known}
        more = len(new) - (allowed.opens if returned else 0)
        expect(
            more >= 0,
            f"{when} a new descriptor should be open, and there is none: is the result one of the caller's own, "
            "or closed already?",
        )
        expect(
            more <= 0,
            f"{when} {more} more descriptor{'s are' if more > 1 else ' is'} open than before "
            f"({_list(sorted(new.values()))}): who closes what you open{'' if returned else ' if a step fails'}?",
        )
        if not allowed.children:
            left = sorted(set(self.children) - set(before.children))
            expect(not left, f"{when} a child process is left ({_list(left)}): who waits for it?")
        for name, (was, now) in self._differences(before).items():
            expect(
                name in allowed.moves,
                f"{when} the caller's {name} has changed from {was} to {now}: who needs it as it was?",
            )

    def signals(self) -> list[str]:
        """The masks of blocked, ignored and caught signals."""
        return [self.lines[name] for name in ("SigBlk", "SigIgn", "SigCgt")]

    def ids(self) -> list[str]:
        """All user and group ids."""
        return [self.lines[name] for name in ("Uid", "Gid")]

    def _differences(self, before: State) -> dict[str, tuple[Any, Any]]:
        pairs: dict[str, tuple[Any, Any]] = {
            "cwd": (before.paths["cwd"], self.paths["cwd"]),
            "root": (before.paths["root"], self.paths["root"]),
            "umask": (before.lines["Umask"], self.lines["Umask"]),
            "signals": (before.signals(), self.signals()),
            "ids": (before.ids(), self.ids()),
            "threads": (before.lines["Threads"], self.lines["Threads"]),
            "namespaces": (before.namespaces, self.namespaces),
        }
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _fits(raised: Raised, call: str) -> None:
    """Fail the check if an OSError's class is that of another errno: who catches the class would be misled."""
    own = {kind.__name__ for kind in OSError.__subclasses__() if kind.__module__ == "builtins"}
    if raised.errno is None or not own & {raised.name}:
        return
    usual = type(OSError(raised.errno, "")).__name__
    expect(
        raised.name == usual,
        f"{call} raises {raised.name} with the errno {errno_name(raised.errno)}, whose class is {usual}: who "
        f"catches the one and does not mean the other?\n    {raised}",
    )


def _list(items: list[Any]) -> str:
    return ", ".join(map(str, items))


def _plain(value: Any) -> Any:
    """Arguments as they will come back: a descriptor as a number that is not compared."""
    return codec.decode(codec.encode(value))


def _numbers(sent: Any, came: Any) -> list[int]:
    """The numbers that the descriptors among the arguments have in the process: they come back with the answer."""
    if isinstance(sent, Fd):
        return [came] if isinstance(came, int) else []
    if isinstance(sent, dict):
        return [
            fd for key in sent if isinstance(came, dict) and key in came for fd in _numbers(sent[key], came[key])
        ]
    if isinstance(sent, list | tuple) and isinstance(came, list | tuple):
        return [fd for pair in zip(sent, came, strict=False) for fd in _numbers(*pair)]
    return []


def _unchanged(before: Any, after: Any, name: str) -> None:
    for was, now in zip([*before[0], *before[1].values()], [*after[0], *after[1].values()], strict=True):
        expect(
            _same(was, now),
            f"{name} has changed an argument of its caller's:\n    before  {was!r}\n    after   {now!r}\n"
            "Whose is it, and who counts on it later?",
        )


def _same(was: Any, now: Any) -> bool:
    if isinstance(was, codec.Odd):  # a descriptor, which is a number there; or what the judge alone has
        return True
    if isinstance(was, codec.Record):
        return isinstance(now, codec.Record) and _same(was.fields, now.fields)
    if type(was) is not type(now):
        return False
    if isinstance(was, dict):
        return was.keys() == now.keys() and all(_same(was[key], now[key]) for key in was)
    if isinstance(was, list | tuple):
        return len(was) == len(now) and all(map(_same, was, now))
    return bool(was == now)


class Yours(Function):
    """The fixture `yours`: the exercise's function. It is called in one process; `process` makes more."""

    def __init__(self, arena: Arena, exercise: manifest.Exercise) -> None:
        self.arena, self.exercise = arena, exercise
        self.name, self.allowed = exercise.name, Allowed()
        self._stack = contextlib.ExitStack()
        self._process: Process | None = None
        self._calls: list[tuple[tuple[Any, ...], dict[str, Any], Answer]] = []

    @property
    def process(self) -> Process:  # type: ignore[override]
        """The one process of plain calls."""
        if self._process is None:
            with self._told():
                self._process = self._stack.enter_context(self.arena.process())
        return self._process

    def answer(self, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None, **more: Any) -> Answer:
        """As a plain function's; a pure one's is kept, to be asked for again."""
        answer = super().answer(args, kwargs, **more)
        if self.exercise.pure and not more:
            self._calls.append((args, kwargs or {}, answer))
        return answer

    @contextlib.contextmanager
    def at(self, flags: int = 0, **options: Any) -> Iterator[Function]:
        """Run another process with the function, in new namespaces; options are those of `Arena.process`."""
        with contextlib.ExitStack() as stack:
            with self._told():
                process = stack.enter_context(self.arena.process(flags, **options))
            yield Function(process, self.name, self.allowed)

    def finish(self) -> None:
        """Ask a pure function again at the end of a check: it has to answer as it did."""
        if not self._calls:
            return
        with self.at() as again:
            for args, kwargs, before in reversed(self._calls):
                answer = again.answer(args, kwargs)
                if (answer.raised is None) != (before.raised is None) or not _same(before.value, answer.value):
                    raise CheckFailed(
                        f"{self._shown(args, kwargs)} gives {answer.raised or repr(answer.value)}, and before, "
                        f"after other calls, it gave {before.raised or repr(before.value)}: what does it keep "
                        "from one call to the next?"
                    )

    def close(self) -> None:
        """End the process of plain calls."""
        self._stack.close()

    def each_refusal(
        self,
        run: Callable[[Function, Watch], Answer],
        names: tuple[str, ...],
        *,
        errors: tuple[int, ...] = (errno.EIO, errno.EPERM, errno.ENOSPC),
        forgiven: dict[str, tuple[int, ...]] | None = None,
        spared: tuple[str, ...] = (),
        flags: int = 0,
        about: str = "A failed step that nobody hears of leaves a container half made.",
        **options: Any,
    ) -> None:
        """Refuse each call of these names that the function makes, one at a time, with each of these errnos.

        `run` makes what the function needs, new each time, calls it with the watch, and returns the answer. The
        error must come out as an OSError with its errno, unless `forgiven` lists the errno for the call. Calls
        with a path that ends in one of `spared` are not refused.
        """
        seen = self._one_run(run, Watch(names), flags, options).seen
        for name in dict.fromkeys(call.name for call in seen):
            calls = [call for call in seen if call.name == name]
            for nth, call in enumerate(calls, 1):
                if not (call.paths and call.paths[0].endswith(spared)):
                    for number in set(errors) - set((forgiven or {}).get(name, ())):
                        watch = Watch(names, (Fault(name, number, nth),))
                        answer = self._one_run(run, watch, flags, options).answer
                        if _was_refused(watch, watch.faults[0]):
                            self._comes_out(answer, watch.faults[0], watch, about)

    def _comes_out(self, answer: Answer, fault: Fault, watch: Watch, about: str) -> None:
        call = [call for call in watch.seen if call.name == fault.name][fault.nth - 1]
        made = f"{fault.name}({', '.join(map(repr, call.paths))}{', ' if call.paths else ''}…)"
        which = f"call {fault.nth} of {fault.name}, " if fault.nth > 1 else ""
        name = errno_name(fault.errno)
        about = f"The kernel refused {which}{made} with {name}, as it may. {about}"
        self.refused(answer, OSError, about, fault.errno, self.name)

    def _one_run(self, run: Callable[[Function, Watch], Answer], watch: Watch, flags: int, options: Any) -> _Run:
        with self.at(flags, **options) as function:
            return _Run(run(function, watch), watch.seen)


@dataclass
class _Run:
    answer: Answer
    seen: list[Any]


def _was_refused(watch: Watch, fault: Fault) -> bool:
    return sum(call.name == fault.name for call in watch.seen) >= fault.nth
