"""The user and groups of a process, from the image's files. A numeric user name is an id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pyctr_lite.engine.bundle import accounts
from pyctr_lite.errors import InvalidArgument

if TYPE_CHECKING:
    from tests.conftest import Pyctr

PASSWD = """\
1000:x:0:0:a name that is a number:/:/bin/sh
+7:x:0:0::/:
root:x:0:0:root:/root:/bin/sh
ann:x:1000:100:Ann:/home/ann:/bin/sh
big:x:4294967296:1::/:
huge:x:{huge}:1::/:
script:x:²:٣::/:
""".format(huge="9" * 5000)
GROUP = """\
50:x:0:
# comment:x:1:
wheel:x:10:ann,1000
users:x:100:
+7:x:0:
video:x:44:ann
huge:x:{huge}:ann
""".format(huge="9" * 5000)


def resolved(user: str, *groups: str) -> tuple[int, int, list[int]]:
    made = accounts.resolve(user, list(groups), PASSWD, GROUP)
    return made["uid"], made["gid"], made["additionalGids"]


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", (0, 0, [0, 10])),  # the first entry with id 0 is the user named 1000, a member of wheel
        ("root", (0, 0, [0])),
        ("ann", (1000, 100, [10, 44, 100])),
        ("1000", (1000, 100, [10, 44, 100])),
        ("01000", (1000, 100, [10, 44, 100])),
        ("+1000", (1000, 100, [10, 44, 100])),
        ("+7", (7, 0, [0])),
        ("1001", (1001, 0, [0])),
        ("1000:50", (1000, 50, [50])),
        ("ann:users", (1000, 100, [100])),
        (":50", (0, 50, [50])),
        ("2147483647", (2147483647, 0, [0])),
    ],
)
def test_a_number_is_an_id_even_if_a_user_has_that_name(user: str, expected: tuple[int, int, list[int]]) -> None:
    assert resolved(user) == expected


def test_a_number_in_group_add_is_an_id() -> None:
    assert resolved("ann", "50", "+7") == (1000, 100, [7, 10, 44, 50, 100])
    assert resolved("root", "wheel") == (0, 0, [0, 10])


@pytest.mark.parametrize(
    "user", ["nobody", "²", "٣", "1_000", "1 ", "big", "huge", "script", "root:nobody", "0:²"]
)
def test_an_unknown_name_is_an_error(user: str) -> None:
    with pytest.raises(InvalidArgument, match="unable to find"):
        resolved(user)


@pytest.mark.parametrize("user", ["2147483648", "-1", "9" * 5000, "0:4294967295", f"0:{'9' * 5000}"])
def test_an_id_out_of_range_is_an_error(user: str) -> None:
    with pytest.raises(InvalidArgument, match="must be in range 0-2147483647"):
        resolved(user)


def test_an_image_cannot_map_a_numeric_user_to_root(pyctr: Pyctr) -> None:
    passwd = "echo 1000:x:0:0::/:/bin/sh >/etc/passwd; echo 50:x:0: >/etc/group"
    pyctr("run", "--name", "box", "busybox", "sh", "-c", passwd, check=True)
    pyctr("commit", "-c", "USER 1000:50", "box", "evil", check=True)
    ids = ("sh", "-c", "id -u; id -g; id -G")
    for words in ([], ["-u", "1000:50"], ["-u", "+1000:50"]):
        assert pyctr("run", "--rm", *words, "evil", *ids, check=True).stdout.split() == ["1000", "50", "50"]
    assert pyctr("run", "--rm", "-u", "5", "--group-add", "50", "evil", *ids).stdout.split()[-1] == "50"
    pyctr("run", "-d", "--name", "long", "evil", "sleep", "60", check=True)
    for words in ([], ["-u", "1000:50"]):
        assert pyctr("exec", *words, "long", *ids, check=True).stdout.split() == ["1000", "50", "50"]
