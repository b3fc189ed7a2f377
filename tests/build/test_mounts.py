"""The grammar of RUN --mount."""

from __future__ import annotations

import pytest

from pyctr_lite.build import mounts
from pyctr_lite.commit import words
from pyctr_lite.errors import InvalidArgument


def parse(text: str) -> mounts.Mount:
    return mounts.parse(text, lambda value: words.expand(value, {"V": "value"}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("target=/a", mounts.Mount(target="/a")),
        ("type=bind,from=x,src=/s,dst=/a,rw", mounts.Mount("bind", "x", "/s", "/a", readonly=False)),
        ("type=cache,target=/$V,id=i,sharing=locked,mode=0700,uid=3", mounts.Mount(
            "cache", target="/value", readonly=False, id="i", sharing="locked", mode=0o700, uid=3)),
        ("type=cache,target=/a,ro=false", mounts.Mount("cache", target="/a", readonly=False)),
        ("type=tmpfs,target=/a,size=1m", mounts.Mount("tmpfs", target="/a", readonly=False, size=1 << 20)),
        ("type=secret,id=k", mounts.Mount("secret", id="k", target="/run/secrets/k")),
        ("type=secret,id=k,env=K,required", mounts.Mount("secret", id="k", env="K", required=True)),
        ("type=secret,target=/a/b", mounts.Mount("secret", id="b", target="/a/b")),
        ("type=ssh", mounts.Mount("ssh", id="default")),
        ('"target=/a,b"', mounts.Mount(target="/a,b")),
    ],
)  # fmt: skip
def test_a_mount_is_parsed(text: str, expected: mounts.Mount) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type=volume,target=/a", "unsupported mount type"),
        ("type=bind", "needs a target"),
        ("tagret=/a", "unexpected key 'tagret'"),
        ("type=tmpfs,target=/a,sharing=locked", "unexpected key 'sharing'"),
        ("type=bind,target=/a,mode=7", "mode not allowed for"),
        ("type=cache,target=/a,sharing=some", "unsupported sharing value"),
        ("type=cache,target=/a,mode=9", "invalid value 9 for mode"),
        ("type=cache,target", "must be a key=value pair"),
        ("type=cache,target=/a,ro=maybe", "invalid value for readonly"),
        ("type=secret", "one of source, target required"),
        ("type=secret,id=a,source=b", "both source and id"),
        ("from=$V,target=/a", "doesn't support variable expansion"),
    ],
)
def test_a_wrong_mount_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(text)
    assert message in caught.value.message
