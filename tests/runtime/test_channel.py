"""Messages of any length, with descriptors, to the last one of an end that has gone."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from pyctr_lite.runtime import channel as channels

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


def test_the_end_of_the_other_side_is_no_message(ends: tuple[channels.Channel, channels.Channel]) -> None:
    one, other = ends
    one.send({"number": 1})
    one.close()
    assert other.receive() == ({"number": 1}, [])
    assert other.receive() is None
