"""A monitor and its proxy go on if root has no watch of epoll(7) left: any container without a user namespace can
take all of them. Here a filter refuses further ones, as the kernel would.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from pyctr_lite.linux import seccomp
from pyctr_lite.networks import dns, proxy, relay
from pyctr_lite.runtime import channel, seccomp_compiler
from tests.networks.dns_bench import Bench, data, fixed, question
from tests.networks.test_proxy import Host, host

__all__ = ["host"]
_ADD = {"index": 1, "value": 1, "op": "SCMP_CMP_EQ"}
NO_WATCH = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        {"names": ["epoll_ctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSPC, "args": [_ADD]},
    ],
}


@pytest.fixture
def take_all_watches() -> Callable[[], object]:
    """Return a function that refuses the calling process all further watches."""
    program = seccomp_compiler.compile(NO_WATCH)
    return lambda: seccomp.set_mode_filter(program)


def test_queries_that_need_a_watch_fail_and_others_are_answered(take_all_watches: Callable[[], object]) -> None:
    def act() -> tuple[int, ...]:
        bench = Bench()
        bench.serve(fixed("192.0.2.1"))
        assert data(bench.ask("example.com")) == ["192.0.2.1"]
        take_all_watches()
        assert bench.ask("example.com").header.rcode == dns.SERVFAIL
        client = bench.client("tcp")
        client.send(len(question("web")).to_bytes(2, "big") + question("web"))
        try:
            assert bench.receive(client) == b""
        except ConnectionResetError:
            pass
        assert data(bench.ask("web")) == ["10.1.0.2"]
        return ()

    channel.in_child(act, "the server")


def test_a_monitor_without_a_watch_for_its_proxy_tries_again(
    host: Host, monkeypatch: pytest.MonkeyPatch, take_all_watches: Callable[[], object]
) -> None:
    monkeypatch.setattr(proxy, "_RETRY", 0.2)
    host.publish(("tcp", "", 8080))

    def act() -> tuple[int, ...]:
        take_all_watches()
        with host.connect("::1", 8080):
            for attempt in (1, 2):
                while len(host.children) < attempt:
                    assert host.is_called()
                with pytest.raises(ProcessLookupError):
                    os.kill(host.children[-1], 0)
                assert not host.is_called(0.1), "it must wait, not try again and again"
        return ()

    channel.in_child(act, "the monitor")


def test_the_proxy_resets_connections_that_it_cannot_watch(
    host: Host, monkeypatch: pytest.MonkeyPatch, take_all_watches: Callable[[], object]
) -> None:
    accept = relay._Relay._accept

    def accept_without_watches(*arguments: Any) -> None:
        take_all_watches()
        accept(*arguments)

    monkeypatch.setattr(relay._Relay, "_accept", accept_without_watches)
    host.publish(("tcp", "", 8080))
    with host.container.listen("0.0.0.0", 8080):
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                wait_for_answer(host)
    assert len(host.children) == 1


def wait_for_answer(host: Host) -> None:
    with host.connect("::1", 8080) as client:
        assert host.children or host.is_called()
        client.recv(1)
