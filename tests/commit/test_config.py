"""The config of a committed image, and the instructions of -c, which work as in Docker."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_lite.commit import config, words
from pyctr_lite.errors import InvalidArgument

PARENT = {
    "architecture": "arm64",
    "os": "linux",
    "variant": "v8",
    "author": "first",
    "created": "2020-01-01T00:00:00Z",
    "config": {"Cmd": ["sh"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:aa"]},
    "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "make"}],
}
NOW = "2024-05-06T07:08:09Z"


def changed(start: dict[str, Any], *texts: str) -> dict[str, Any]:
    return config.apply_changes(start, [config.parse_change(text) for text in texts])


def test_a_layer_is_added_and_the_history_is_kept() -> None:
    container = {"Cmd": ["sh", "-c", "make"], "Env": ["A=1"], "Hostname": "abc", "Tty": True}
    image = config.new_config(PARENT, container, "sha256:bb", created=NOW, message="works", author="me")
    assert image["rootfs"]["diff_ids"] == ["sha256:aa", "sha256:bb"]
    assert image["history"] == [
        *PARENT["history"],
        {"created": NOW, "created_by": "sh -c make", "author": "me", "comment": "works"},
    ]
    assert (image["created"], image["author"], image["architecture"], image["variant"]) == (
        NOW,
        "me",
        "arm64",
        "v8",
    )
    assert image["config"] == {"Env": ["A=1"], "Cmd": ["sh", "-c", "make"]}
    assert PARENT["rootfs"] == {"type": "layers", "diff_ids": ["sha256:aa"]}


def test_without_a_layer_only_a_history_entry_is_added() -> None:
    image = config.new_config(PARENT, {}, None, created=NOW)
    assert image["rootfs"]["diff_ids"] == ["sha256:aa"]
    assert image["history"][-1] == {"created": NOW, "author": "first", "empty_layer": True}


def test_an_import_has_no_parent() -> None:
    image = config.new_config({}, {}, "sha256:bb", created=NOW, changes=["CMD top"], message="Imported from -")
    assert image["rootfs"] == {"type": "layers", "diff_ids": ["sha256:bb"]}
    assert image["config"] == {"Cmd": ["/bin/sh", "-c", "top"]}
    assert image["history"] == [{"created": NOW, "comment": "Imported from -"}]


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ('CMD ["a", "b c"]', "Cmd", ["a", "b c"]),
        ("cmd echo $HOME", "Cmd", ["/bin/sh", "-c", "echo $HOME"]),
        ("CMD [ -f x ]", "Cmd", ["/bin/sh", "-c", "[ -f x ]"]),
        ('ENTRYPOINT ["/init"]', "Entrypoint", ["/init"]),
        ("ENV A=1 B='x y' C=\"$OLD\\\"\" D=a\\ b", "Env", ["OLD=old", "A=1", "B=x y", 'C=old"', "D=a b"]),
        ("ENV OLD=new NEW=$OLD", "Env", ["OLD=new", "NEW=old"]),
        ("ENV A one two", "Env", ["OLD=old", "A=one two"]),
        ("ENV A=${OLD:-x}${NONE:-y}${OLD:+z}${NONE-q}", "Env", ["OLD=old", "A=oldyzq"]),
        ("ENV A='$OLD'\\$OLD", "Env", ["OLD=old", "A=$OLD$OLD"]),
        ("EXPOSE 80 443/TCP 53/udp 8000-8002", "ExposedPorts",
         {"80/tcp": {}, "443/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {}}),
        ('LABEL a=b "c d"="e f"', "Labels", {"a": "b", "c d": "e f"}),
        ("LABEL key the value", "Labels", {"key": "the value"}),
        ("ONBUILD RUN make", "OnBuild", ["RUN make"]),
        ("USER $OLD:staff", "User", "old:staff"),
        ("VOLUME /a /b", "Volumes", {"/a": {}, "/b": {}}),
        ('VOLUME ["/a b"]', "Volumes", {"/a b": {}}),
        ("WORKDIR /a/../b", "WorkingDir", "/b"),
        ("WORKDIR sub", "WorkingDir", "/work/sub"),
        ("STOPSIGNAL SIGINT", "StopSignal", "SIGINT"),
        ("STOPSIGNAL 9", "StopSignal", "9"),
        ("HEALTHCHECK NONE", "Healthcheck", {"Test": ["NONE"]}),
        ("HEALTHCHECK CMD true", "Healthcheck", {"Test": ["CMD-SHELL", "true"]}),
        ('HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD ["a"]', "Healthcheck",
         {"Test": ["CMD", "a"], "Interval": 90 * 10**9, "Timeout": 5 * 10**8, "Retries": 3}),
    ],
)  # fmt: skip
def test_an_instruction_changes_the_config(text: str, key: str, value: object) -> None:
    start = {"Env": ["OLD=old"], "WorkingDir": "/work"}
    assert changed(start, text)[key] == value
    assert start == {"Env": ["OLD=old"], "WorkingDir": "/work"}


def test_instructions_add_to_existing_values() -> None:
    start = {"Labels": {"a": "1"}, "Volumes": {"/a": {}}, "ExposedPorts": {"1/tcp": {}}, "OnBuild": ["RUN a"]}
    result = changed(start, "LABEL b=2", "VOLUME /b", "EXPOSE 2", "ONBUILD RUN b")
    assert result == {
        "Labels": {"a": "1", "b": "2"},
        "Volumes": {"/a": {}, "/b": {}},
        "ExposedPorts": {"1/tcp": {}, "2/tcp": {}},
        "OnBuild": ["RUN a", "RUN b"],
    }


def test_an_entrypoint_drops_the_old_cmd_but_not_a_new_one() -> None:
    assert "Cmd" not in changed({"Cmd": ["old"]}, 'ENTRYPOINT ["e"]')
    assert changed({"Cmd": ["old"], "Entrypoint": ["e"]}, "ENTRYPOINT []") == {"Cmd": ["old"], "Entrypoint": []}
    assert changed({"Cmd": ["old"]}, "CMD []")["Cmd"] == ["old"]
    assert changed({"Cmd": ["old"]}, 'CMD ["c"]', 'ENTRYPOINT ["e"]')["Cmd"] == ["c"]
    assert changed({"Cmd": ["old"]}, 'ENTRYPOINT ["e"]', 'CMD ["c"]')["Cmd"] == ["c"]


def test_the_shell_form_uses_the_images_shell() -> None:
    assert changed({"Shell": ["/bin/ash", "-eo"]}, "CMD top")["Cmd"] == ["/bin/ash", "-eo", "top"]


def test_a_backslash_continues_a_line() -> None:
    assert changed({}, "ENV A=1 \\\n B=2")["Env"] == ["A=1", "B=2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a valid change command"),
        ("RUN make", "RUN is not a valid change command"),
        ("ENV", "ENV requires at least one argument"),
        ("ENV A", "ENV must have two arguments"),
        ("ENV A=1 B", "Syntax error - can't find = in 'B'. Must be of the form: name=value"),
        ("ENV =1", "ENV names can not be blank"),
        ("ENV A='1", "unexpected end of statement while looking for matching single-quote: '1"),
        ("EXPOSE 0", "invalid containerPort: 0"),
        ("EXPOSE 80-70", "invalid containerPort: 80-70"),
        ("EXPOSE http", "invalid containerPort: http"),
        ("EXPOSE 80/icmp", "invalid proto: icmp"),
        ("STOPSIGNAL SIGNONE", "invalid signal: SIGNONE"),
        ("STOPSIGNAL 65", "invalid signal: 65"),
        ("ONBUILD ONBUILD RUN a", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM a", "FROM isn't allowed as an ONBUILD trigger"),
        ("USER", "USER requires at least one argument"),
        ('VOLUME [""]', "VOLUME specified can not be an empty string"),
        ("CMD [1]", "only string type is allowed in JSON format arrays"),
        ("HEALTHCHECK RUN a", 'Unknown type "RUN" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK --retries=-1 CMD a", "--retries cannot be negative (-1)"),
        ("HEALTHCHECK --retries=x CMD a", "invalid value for --retries: x"),
        ("HEALTHCHECK --often=x CMD a", "unknown flag: --often"),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK --interval=3 CMD a", "invalid duration '3' for --interval"),
        ("HEALTHCHECK --timeout=1us CMD a", 'Interval "timeout" cannot be less than 1ms'),
        ("CMD a\nCMD b", "CMD: one instruction for each --change"),
    ],
)
def test_an_invalid_instruction_is_refused_when_it_is_parsed(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        config.parse_change(text)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("${A", "missing '}'"),
        ("${}", "bad substitution"),
        ("${A:=b}", "unsupported modifier"),
        ("${A:?not given}", "not given"),
    ],
)
def test_an_invalid_substitution_is_refused(word: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        changed({}, f"USER {word}")


@given(st.text(st.characters(exclude_characters="'", exclude_categories=["Cs"]), min_size=1))
def test_single_quotes_keep_any_text(text: str) -> None:
    assert words.split_words(f"a '{text}' b") == ["a", f"'{text}'", "b"]
    assert words.expand(f"'{text}'", {}) == text
