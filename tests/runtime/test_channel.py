"""Messages of any length with descriptors, up to the end of the channel; and errors of a forked child."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from pyctr_lite.errors import Conflict, PyctrError
from pyctr_lite.runtime import channel as channels
from tests.leaks import children_of

LENGTHS = [0, 1, 32_000, 32_768 - 11, 32_768, 65_536, 1_000_000]


@pytest.fixture
def ends() -> Iterator[tuple[channels.Channel, channels.Channel]]:
    one, other = channels.pair()
    yield one, other
    one.close()
    other.close()


@pytest.mark.parametrize("length", LENGTHS)
def test_a_message_of_any_length_arrives_whole(
    ends: tuple[channels.Channel, channels.Channel], length: int
) -> None:
    one, other = ends
    texts = ["+" * length, "é" * (length // 2), "\udcff"]
    sender = threading.Thread(target=one.send, args=({"texts": texts},))
    sender.start()
    received = other.receive()
    sender.join()
    assert received == ({"texts": texts}, [])


@pytest.mark.parametrize("length", LENGTHS)
def test_a_descriptor_comes_with_its_message(ends: tuple[channels.Channel, channels.Channel], length: int) -> None:
    one, other = ends
    read, write = os.pipe()
    sender = threading.Thread(target=one.send, args=({"text": "x" * length}, (write,)))
    sender.start()
    received = other.receive()
    sender.join()
    os.close(write)
    assert received is not None
    assert received[0] == {"text": "x" * length}
    (fd,) = received[1]
    os.write(fd, b"through")
    os.close(fd)
    assert os.read(read, 10) == b"through"
    os.close(read)


def test_receiving_from_a_closed_end_returns_none(ends: tuple[channels.Channel, channels.Channel]) -> None:
    one, other = ends
    one.send({"number": 1})
    one.close()
    assert other.receive() == ({"number": 1}, [])
    assert other.receive() is None


def test_a_childs_descriptors_reach_the_parent() -> None:
    def act() -> tuple[int, ...]:
        reader, writer = os.pipe()
        os.write(writer, b"from the child")
        return (reader,)

    (reader,) = channels.in_child(act, "a child")
    assert os.read(reader, 100) == b"from the child"
    os.close(reader)
    assert channels.in_child(lambda: (), "a child") == []


def test_a_childs_error_is_raised_in_the_parent() -> None:
    def fail(error: Exception) -> tuple[int, ...]:
        raise error

    with pytest.raises(channels.ChildError, match="No such file or directory: /x") as caught:
        channels.in_child(
            lambda: fail(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/x")), "a child"
        )
    assert (caught.value.errno, caught.value.path) == (errno.ENOENT, "/x")
    with pytest.raises(Conflict, match="taken") as conflict:
        channels.in_child(lambda: fail(Conflict("taken", "use another")), "a child")
    assert conflict.value.hint == "use another"
    with pytest.raises(channels.ChildError, match="ZeroDivisionError"):
        channels.in_child(lambda: (1 // 0,), "a child")


def test_a_killed_child_is_reported_and_reaped() -> None:
    def act() -> tuple[int, ...]:
        os.kill(os.getpid(), signal.SIGKILL)
        return ()

    before = children_of(os.getpid())  # other tests' daemons may be among them
    with pytest.raises(PyctrError, match="the process that dies was killed"):
        channels.in_child(act, "the process that dies")
    assert set(children_of(os.getpid())) <= set(before)
