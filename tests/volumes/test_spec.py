"""-v, --mount and --tmpfs in Docker's grammar, with Docker's error messages."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.volumes import fields, spec


def attributes(mount: spec.MountSpec, *names: str) -> tuple[object, ...]:
    return tuple(getattr(mount, name) for name in names)


@pytest.mark.parametrize(
    ("text", "type", "source", "target", "readonly"),
    [
        ("/data", "volume", "", "/data", False),
        ("name:/data", "volume", "name", "/data", False),
        ("na_me.1-x:/data:ro", "volume", "na_me.1-x", "/data", True),
        ("/host:/data", "bind", "/host", "/data", False),
        ("/host/../srv/:/a//b/../c/:rw", "bind", "/srv", "/a/c", False),
        ("/host:/data:z,ro,cached", "bind", "/host", "/data", True),
        ("/host:/data:Z,delegated", "bind", "/host", "/data", False),
    ],
)
def test_v_accepts_a_path_a_name_or_only_a_target(
    text: str, type: str, source: str, target: str, readonly: bool
) -> None:
    mount = spec.parse_volume(text)
    assert attributes(mount, "type", "source", "target", "readonly") == (type, source, target, readonly)


def test_v_resolves_a_relative_path_from_the_working_directory(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert spec.parse_volume("./x:/data").source == f"{tmp_path}/x"
    assert spec.parse_volume(".:/data").source == str(tmp_path)
    assert spec.parse_volume("..:/data").source == os.path.dirname(str(tmp_path))


def test_v_creates_a_missing_host_directory_and_mount_does_not() -> None:
    assert spec.parse_volume("/host:/data").create_source
    assert not spec.parse_mount("type=bind,src=/host,dst=/data").create_source
    assert spec.parse_mount("type=bind,src=/host,dst=/data,bind-create-src").create_source


@pytest.mark.parametrize("propagation", spec.PROPAGATIONS)
def test_a_bind_has_a_propagation_but_a_volume_does_not(propagation: str) -> None:
    assert spec.parse_volume(f"/host:/data:{propagation}").propagation == propagation
    assert spec.parse_volume("/host:/data").propagation == "rprivate"
    with pytest.raises(InvalidArgument, match="field BindOptions must not be specified"):
        spec.parse_volume(f"name:/data:{propagation}")


def test_nocopy_is_for_volumes_only() -> None:
    assert spec.parse_volume("name:/data:nocopy").nocopy
    assert not spec.parse_volume("name:/data").nocopy
    with pytest.raises(InvalidArgument, match="field VolumeOptions must not be specified"):
        spec.parse_volume("/host:/data:nocopy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid empty volume spec"),
        ("a::b", "invalid spec: a::b: empty section between colons"),
        (":/data", "invalid spec: :/data: empty section between colons"),
        ("/a:/b:ro:x", "invalid spec: /a:/b:ro:x: too many colons"),
        ("/data:ro", "invalid volume specification: '/data:ro'"),
        ("/a:/b:sync", "invalid mode: sync"),
        ("/a:/b:ro,rw", "invalid mode: ro,rw"),
        ("/a:/b:rslave,shared", "invalid mode: rslave,shared"),
        ("data", 'invalid volume specification: \'data\': invalid mount config for type "volume": '
         "invalid mount path: 'data' mount path must be absolute"),
        ("/a:data", 'invalid volume specification: \'/a:data\': invalid mount config for type "bind": '
         "invalid mount path: 'data' mount path must be absolute"),
        ("/a:/", 'invalid volume specification: \'/a:/\': invalid mount config for type "bind": '
         "invalid specification: destination can't be '/'"),
        ("/a:/x/..", "invalid volume specification: '/a:/x/..': invalid mount config for type \"bind\": "
         "invalid specification: destination can't be '/'"),
        ("a:/b", "create a: volume name is too short, names should be at least two alphanumeric characters"),
        ("a/b:/c", 'create a/b: "a/b" includes invalid characters for a local volume name, '
         'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'),
        ("~/x:/c", 'create ~/x: "~/x" includes invalid characters for a local volume name, '
         'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'),
    ],
)  # fmt: skip
def test_an_invalid_v_is_refused_with_dockers_message(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        spec.parse_volume(text)
    assert caught.value.message == message


def test_mount_accepts_all_fields_of_a_bind() -> None:
    mount = spec.parse_mount(
        "type=bind,source=/host,destination=/data,readonly,bind-propagation=rslave,consistency=cached"
    )
    assert attributes(mount, "type", "source", "target", "readonly", "propagation") == (
        "bind", "/host", "/data", True, "rslave",
    )  # fmt: skip
    assert (mount.recursive, mount.readonly_recursive) == (True, True)


@pytest.mark.parametrize(
    ("field", "recursive", "readonly_recursive"),
    [
        ("bind-recursive=enabled", True, True),
        ("bind-recursive=disabled", False, True),
        ("bind-recursive=writable", True, False),
        ("bind-recursive=readonly,bind-propagation=rprivate", True, True),
        ("bind-nonrecursive", False, True),
        ("bind-nonrecursive=false", True, True),
    ],
)
def test_mount_sets_the_options_for_mounts_below(field: str, recursive: bool, readonly_recursive: bool) -> None:
    mount = spec.parse_mount(f"type=bind,src=/host,dst=/data,ro,{field}")
    assert (mount.recursive, mount.readonly_recursive) == (recursive, readonly_recursive)


def test_mount_accepts_all_fields_of_a_volume() -> None:
    mount = spec.parse_mount(
        "src=name,dst=/data,volume-nocopy=1,volume-label=a=b,volume-label=c,volume-opt=type=none,"
        "volume-driver=local,volume-subpath=x/y"
    )
    assert attributes(mount, "type", "source", "nocopy", "subpath") == ("volume", "name", True, "x/y")
    assert (mount.labels, mount.volume_options) == ({"a": "b", "c": ""}, {"type": "none"})


def test_mount_accepts_all_fields_of_a_tmpfs() -> None:
    mount = spec.parse_mount("type=tmpfs,dst=/t,tmpfs-size=64m,tmpfs-mode=0700,ro")
    assert attributes(mount, "tmpfs_size", "tmpfs_mode", "readonly") == (64 << 20, 0o700, True)
    assert mount.options == ["noexec", "nosuid", "nodev", "rprivate", "ro", "mode=700", f"size={64 << 20}"]
    assert spec.parse_mount("type=tmpfs,dst=/t").options == ["noexec", "nosuid", "nodev", "rprivate"]


def test_mount_accepts_a_comma_in_quotes() -> None:
    assert spec.parse_mount('type=bind,"src=/a,""b",dst=/data').source == '/a,"b'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "value is empty"),
        ("dst", "invalid field 'dst' must be a key=value pair"),
        ("dst=", "invalid value for 'dst': value is empty"),
        ("dst=/x, ro", "invalid option 'ro' in ' ro': option should not have whitespace"),
        ("dst= /x", "invalid value for 'dst' in 'dst= /x': value should not have whitespace"),
        ("dst=/x,color=red", "unknown option 'color' in 'color=red'"),
        ("type=bind,src=/a,dst=/b,ro=yes",
         "invalid value for 'ro': invalid boolean value (\"yes\"): "
         'must be one of "true", "1", "false", or "0" (default "true")'),
        ("type=image,dst=/x", 'invalid mount config for type "image": mount type unknown'),
        ("src=name", 'invalid mount config for type "volume": field Target must not be empty'),
        ("dst=x", 'invalid mount config for type "volume": invalid mount path: \'x\' mount path must be absolute'),
        ("dst=/.", 'invalid mount config for type "volume": invalid specification: destination can\'t be \'/\''),
        ("type=bind,dst=/x", 'invalid mount config for type "bind": field Source must not be empty'),
        ("type=bind,src=a,dst=/x",
         'invalid mount config for type "bind": invalid mount path: \'a\' mount path must be absolute'),
        ("type=bind,src=/a,dst=/x,bind-propagation=far",
         'invalid mount config for type "bind": invalid propagation mode: far'),
        ("type=tmpfs,src=/a,dst=/x", 'invalid mount config for type "tmpfs": field Source must not be specified'),
        ("type=tmpfs,dst=/x,tmpfs-size=much", "invalid value for tmpfs-size: much"),
        ("type=tmpfs,dst=/x,tmpfs-mode=888", "invalid value for tmpfs-mode: 888"),
        ("type=bind,src=/a,dst=/x,volume-nocopy", "cannot mix 'volume-*' options with mount type 'bind'"),
        ("dst=/x,tmpfs-size=1m", "cannot mix 'tmpfs-*' options with mount type 'volume'"),
        ("dst=/x,volume-driver=nfs", 'error looking up volume plugin nfs: plugin "nfs" not found'),
        ("dst=/x,volume-subpath=a",
         'invalid mount config for type "volume": must not set Subpath when using anonymous volumes'),
        ("src=name,dst=/x,volume-subpath=a/../../b",
         'invalid mount config for type "volume": subpath must be a relative path within the volume'),
        ("type=bind,src=/a,dst=/b,bind-recursive=maybe",
         'invalid value for bind-recursive: maybe (must be "enabled", "disabled", "writable", or "readonly")'),
        ("type=bind,src=/a,dst=/b,bind-recursive=writable",
         "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction"),
        ("type=bind,src=/a,dst=/b,bind-recursive=readonly",
         "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction"),
        ("type=bind,src=/a,dst=/b,ro,bind-recursive=readonly",
         "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"),
        ('dst=/x,src=a"b', 'parse error on line 1, column 13: bare " in non-quoted field'),
        ('"dst=/x', 'parse error on line 1, column 8: extraneous or missing " in quoted-field'),
        ('"dst=/x"y', 'parse error on line 1, column 8: extraneous or missing " in quoted-field'),
    ],
)  # fmt: skip
def test_an_invalid_mount_is_refused_with_dockers_message(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        spec.parse_mount(text)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "options", "readonly"),
    [
        ("/t", ["noexec", "nosuid", "nodev", "rprivate"], False),
        ("/t:size=64m,exec,mode=0700", ["nosuid", "nodev", "rprivate", "size=64m", "exec", "mode=0700"], False),
        ("/t:ro", ["noexec", "nosuid", "nodev", "rprivate", "ro"], True),
        ("/t:ro,rw,size=1m,size=2m", ["noexec", "nosuid", "nodev", "rprivate", "rw", "size=2m"], False),
    ],
)
def test_the_last_tmpfs_option_of_a_kind_wins(text: str, options: list[str], readonly: bool) -> None:
    mount = spec.parse_tmpfs(text)
    assert attributes(mount, "type", "target", "options", "readonly") == ("tmpfs", "/t", options, readonly)


@pytest.mark.parametrize(
    "text",
    ["/t:colour", "/t:size", "/t:exec=1", "/t:size=x", "/t:mode=8", "/t:uid=", "/t:lowerdir=/etc", "t", "/", ""],
)
def test_tmpfs_refuses_unknown_options_and_relative_paths(text: str) -> None:
    with pytest.raises(InvalidArgument):
        spec.parse_tmpfs(text)


def test_two_mounts_on_the_same_target_are_refused() -> None:
    specs = [spec.parse_volume("/a:/x"), spec.parse_tmpfs("/y")]
    spec.check_duplicates(specs)
    with pytest.raises(InvalidArgument, match=r"^Duplicate mount point: /x$"):
        spec.check_duplicates([*specs, spec.parse_mount("dst=//x/")])


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("64m", 64 << 20), ("1.5g", 3 << 29), ("2 KiB", 2048), ("3kb", 3072), ("7b", 7)]
)
def test_tmpfs_sizes_are_binary(text: str, size: int) -> None:
    assert spec.parse_mount(f"type=tmpfs,dst=/x,tmpfs-size={text}").tmpfs_size == size


@pytest.mark.parametrize("text", ["m", "1x", "1mm", "-1", "1.2.3", "1 2", "1bb"])
def test_a_tmpfs_size_in_another_grammar_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid value for tmpfs-size"):
        spec.parse_mount(f"type=tmpfs,dst=/x,tmpfs-size={text}")


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), min_size=1))
def test_quoted_fields_are_split_into_their_original_values(values: list[str]) -> None:
    line = ",".join('"' + value.replace('"', '""') + '"' for value in values)
    assert fields.split_fields(line) == values


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for parse in (spec.parse_volume, spec.parse_mount, spec.parse_tmpfs):
        try:
            mount = parse(text)
        except InvalidArgument:
            continue
        assert mount.target.startswith("/")
        assert mount.target != "/"
        assert ".." not in mount.target.split("/")
