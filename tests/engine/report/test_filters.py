"""The engine's filters: their selections, and the same error from the API and the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyctr_lite.engine.engine import Engine
from pyctr_lite.engine.report.filters import containers, events, grammar, images, volumes
from pyctr_lite.errors import PyctrError
from pyctr_lite.volumes.store import VolumeStore
from tests.conftest import Pyctr

Make = Callable[[Engine, list[str]], Any]


def prune_containers(engine: Engine, texts: list[str]) -> Any:
    return containers.ContainerFilter(engine, texts, containers.PRUNING)


def prune_images(engine: Engine, texts: list[str]) -> Any:
    return images.ImageFilter(engine.images, texts, images.PRUNING)


def list_images(engine: Engine, texts: list[str]) -> Any:
    return images.ImageFilter(engine.images, texts)


def list_volumes(engine: Engine, texts: list[str]) -> Any:
    return volumes.VolumeFilter(texts)


def prune_volumes(engine: Engine, texts: list[str]) -> Any:
    return volumes.VolumeFilter(texts, volumes.PRUNING)


def choose_events(engine: Engine, texts: list[str]) -> Any:
    return events.EventFilter(texts)


WRONG: dict[tuple[str, Make], list[str]] = {
    ("ps -a", containers.ContainerFilter): [
        *("nothing", "colour=red", "status=asleep", "health=ill", "exited=soon", "expose=70000", "publish=x"),
        *("before=nosuch", "since=nosuch", "until=1h"),
    ],
    ("container prune -f", prune_containers): ["nothing", "status=exited", "until=yesterday"],
    ("images", list_images): ["nothing", "colour=red", "dangling=maybe", "before=nosuch", "until=yesterday"],
    ("image prune -f", prune_images): ["nothing", "dangling=true", "until=yesterday"],
    ("volume ls", list_volumes): ["nothing", "colour=red", "dangling=maybe", "until=1h"],
    ("volume prune -f", prune_volumes): ["nothing", "dangling=true", "all=maybe"],
    ("events --until 0s", choose_events): ["nothing", "colour=red", "until=1h"],
}


@pytest.mark.parametrize(
    ("verb", "make", "text"), [(verb, make, text) for (verb, make), texts in WRONG.items() for text in texts]
)
def test_an_invalid_filter_is_the_same_error_both_ways(
    pyctr: Pyctr, root: Path, verb: str, make: Make, text: str
) -> None:
    with pytest.raises(PyctrError) as caught:
        make(Engine(str(root)), [text])
    done = pyctr(*verb.split(), "--filter", text)
    assert done.returncode == (125 if text == "nothing" else 1)
    assert done.stderr.splitlines()[0] == f"pyctr_lite: {caught.value.message}"


def test_contradicting_values_of_dangling_are_refused(pyctr: Pyctr) -> None:
    for verb in ("volume", "image"):
        done = pyctr(verb, "ls", "-f", "dangling=true", "-f", "dangling=0")
        assert done.stderr.startswith("pyctr_lite: invalid filter 'dangling=[true false]'")


@pytest.mark.parametrize("flag", ["since", "until"])
def test_an_invalid_time_is_the_same_error_both_ways(pyctr: Pyctr, flag: str) -> None:
    pyctr("create", "--name", "box", "busybox", check=True)
    with pytest.raises(PyctrError) as caught:
        grammar.time_limit(flag, "yesterday")
    for words in (["logs", f"--{flag}=yesterday", "box"], ["events", f"--{flag}=yesterday"]):
        done = pyctr(*words)
        assert (done.returncode, done.stderr.splitlines()[0]) == (1, f"pyctr_lite: {caught.value.message}")
    assert grammar.time_limit(flag, "") is None


def test_the_earliest_of_several_times_counts() -> None:
    values = grammar.parse(["until=1970-01-02T00:00:00Z", "until=1970-01-01T00:00:01Z"], ["until"])
    assert grammar.created_before(values) == 10**9
    assert grammar.created_before({}) is None


def test_keys_ignore_case_and_blanks() -> None:
    assert grammar.parse([" LABEL = a=b ", "label=c"], ["label"]) == {"label": ["a=b", "c"]}
    assert grammar.has_labels({"a": "b", "c": ""}, {"label": ["a=b", "c"], "label!": ["d"]})
    assert not grammar.has_labels({"a": "b"}, {"label!": ["a"]})


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ([], ["free", "used"]),
        (["dangling=true"], ["free"]),
        (["dangling=0"], ["used"]),
        (["label=a"], ["free", "used"]),
        (["label=a=1"], ["free"]),
        (["label=a", "label=b"], ["used"]),
        (["label!=b"], ["free"]),
        (["name=ree"], ["free"]),
        (["name=^u.*d$"], ["used"]),
        (["name=ree", "name=sed"], ["free", "used"]),
        (["driver=local"], ["free", "used"]),
        (["driver=nfs"], []),
    ],
)
def test_filters_select_volumes(tmp_path: Path, texts: list[str], names: list[str]) -> None:
    store = VolumeStore(str(tmp_path))
    store.create("free", labels={"a": "1"})
    store.create("used", labels={"a": "2", "b": ""})
    chosen = volumes.VolumeFilter(texts, used={"used"})
    assert [volume.name for volume in store.list() if chosen.matches(volume)] == names
