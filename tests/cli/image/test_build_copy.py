"""COPY and ADD: destinations, owners, modes, links, archives, and what must not leave the context."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from tests.cli.image.conftest import Builder

LIST = "cd /d 2>/dev/null && find . | sort | tr '\\n' ' '"


@pytest.mark.parametrize(
    ("copy", "listing"),
    [
        ("COPY a /d/", ". ./a "),
        ("COPY a /d/new", ". ./new "),
        ("COPY a /d/deep/er/", ". ./deep ./deep/er ./deep/er/a "),
        ("COPY a b /d/", ". ./a ./b "),
        ("COPY dir /d", ". ./sub ./sub/y ./x "),
        ("COPY dir /d/", ". ./sub ./sub/y ./x "),
        ("COPY dir a /d/", ". ./a ./sub ./sub/y ./x "),
        ("COPY dir/* /d/", ". ./x ./y "),
        ("COPY [ab] /d/", ". ./a ./b "),
        ('COPY ["with space", "/d/"]', ". ./with space "),
        ("WORKDIR /d\nCOPY a .\nCOPY b ./c", ". ./a ./c "),
        ("WORKDIR /d/w\nCOPY a ..", ". ./a ./w "),
        ("ENV N=a\nCOPY $N /d/${N}x", ". ./ax "),
        ("COPY --exclude=sub --exclude=*.no dir /d", ". ./x "),
        ("COPY --exclude=b a b /d/", ". ./a "),
        ("COPY --parents dir/sub/y a /d/", ". ./a ./dir ./dir/sub ./dir/sub/y "),
        ("COPY --parents ./dir/./sub/y /d/", ". ./sub ./sub/y "),
        ("COPY --parents **/y /d/", ". ./dir ./dir/sub ./dir/sub/y "),
        ("COPY --parents no* a dir/./sub/* /d", ". ./a ./sub ./sub/y "),
        ("COPY --parents no* /d", ". "),
        ("COPY --parents --exclude=x --exclude=dir/sub dir /d", ". ./dir ./dir/x "),
        ("COPY --parents to-dir /d", ". ./to-dir "),
        ("RUN mkdir /d\nCOPY a b /d", ". ./a ./b "),
        ("COPY to-dir /d", ". ./sub ./sub/y ./x "),
        ("COPY --link a /d/sub/", ". ./sub ./sub/a "),
        ("RUN mkdir -p /real && ln -s real /d\nCOPY a /d/", ". ./a "),
        ("RUN mkdir -p /d/x\nCOPY a /d/x", ". ./x ./x/a "),
        ("RUN mkdir /d && ln -s /gone /d/a\nCOPY a /d/", ". ./a "),
        ("RUN mkdir /d && ln -s ../d/new /link\nCOPY a /link", ". ./new "),
        ("RUN ln -s /d/new/er /link\nCOPY <<E /link\nx\nE", ". ./new ./new/er "),
        ("COPY a no* /d/\nCOPY no*/x [q] /e/\nRUN test ! -e /e", ". ./a "),
        ("COPY \"a\" 'b' /d/", ". ./a ./b "),
    ],
)
def test_files_go_where_docker_puts_them(builder: Builder, copy: str, listing: str) -> None:
    builder.files(a="a", b="b", dir__x="x", dir__sub__y="y", **{"with space": "s"})
    (builder.context / "to-dir").symlink_to("dir")
    builder(f"FROM busybox\n{copy}\n")
    assert builder.sh(LIST) == listing


@pytest.mark.parametrize(
    ("copy", "message"),
    [
        ("COPY a dir /f", "destination must be a directory"),
        ("COPY [ab] /d", "destination must be a directory"),
        ("RUN echo > /f\nCOPY dir /f", "cannot copy to non-directory: /f"),
        ("RUN mkdir -p /d/x/z\nCOPY dir /d", "cannot replace directory /d/x with a file"),
        ("RUN mkdir /d && echo > /d/sub\nCOPY dir /d", "cannot copy to non-directory: /d/sub"),
        ("COPY ../context.txt /", "not found"),
        ("COPY out /", "not found"),
        ("COPY --chown=nobody9 a /", "unable to find user nobody9"),
        ("COPY --chmod=999 a /", "invalid chmod parameter"),
        ("COPY --chmod=u+q a /", "invalid chmod parameter"),
    ],
)
def test_what_cannot_be_copied_is_refused(builder: Builder, copy: str, message: str) -> None:
    builder.files(a="a", b="b", dir__x="x", dir__sub__y="y")
    (builder.context.parent / "context.txt").write_text("outside")
    (builder.context / "out").symlink_to("../context.txt")
    assert message in builder.error(f"FROM busybox\n{copy}\n")


def test_owners_and_modes_are_those_of_the_flags(builder: Builder) -> None:
    builder.files(a="a", dir__x="x")
    (builder.context / "a").chmod(0o640)
    os.chown(builder.context / "a", 7, 8)
    (builder.context / "dir").chmod(0o750)
    builder(
        "FROM busybox\nRUN echo 'me:x:40:41::/:/bin/sh' >> /etc/passwd; echo 'them:x:50:' >> /etc/group\n"
        "COPY a /1\nCOPY --chown=me a /2\nCOPY --chown=me:them a /3\nCOPY --chown=9 a /4\nCOPY --chmod=4711 a /5\n"
        "COPY --chmod=u=rwX,go=rX dir /6\nCOPY --chown=1:2 dir /7\nADD --chown=3:4 a /8/9/\n"
    )
    assert builder.sh("stat -c '%u:%g %a' /1 /2 /3 /4 /5 /6/x /7 /7/x /8 /8/9 /8/9/a").splitlines() == [
        *("0:0 640", "40:41 640", "40:50 640", "9:9 640", "0:0 4711", "0:0 644"),
        *("1:2 755", "1:2 644", "3:4 755", "3:4 755", "3:4 640"),
    ]


def test_directories_have_the_mode_of_their_source_or_of_the_flag(builder: Builder) -> None:
    builder.files(a="a", dir__sub__y="y")
    (builder.context / "dir").chmod(0o750)
    builder(
        "FROM busybox\nCOPY --parents dir/sub /p/\nCOPY --chmod=700 a /n/m/\nCOPY --chmod=u=rwx,go= a /s/a\n"
        "COPY --chmod=711 dir /t\nRUN stat -c %a /p /p/dir /n /n/m /s /t > /modes\n"
    )
    assert builder.sh("cat /modes").split() == ["755", "750", "700", "700", "755", "711"]


def test_a_new_working_directory_belongs_to_the_user(builder: Builder) -> None:
    builder("FROM busybox\nUSER 5\nWORKDIR /a/b\nWORKDIR /tmp\nUSER 6:7\nWORKDIR /c\nUSER root\nWORKDIR /d\n")
    assert builder.sh("stat -c %u:%g /a /a/b /tmp /c /d") == "5:5\n5:5\n0:0\n6:7\n0:0\n"


def test_a_copy_from_a_stage_keeps_owners_links_times_and_attributes(builder: Builder) -> None:
    builder(
        "FROM busybox AS one\nRUN mkdir /s && cd /s && echo x > x && ln x y && ln -s x l && mkfifo p && "
        "chown 5:6 x && touch -d @1000 x && mkdir -m 700 e\nFROM busybox\nCOPY --from=one /s /t\n"
    )
    assert builder.sh("cd /t; stat -c '%n %u:%g %Y %h' x y; readlink l; stat -c %F p; stat -c %a e") == (
        "x 5:6 1000 2\ny 5:6 1000 2\nx\nfifo\n700\n"
    )


def test_times_of_the_context_are_kept_and_do_not_count_for_the_cache(builder: Builder) -> None:
    builder.files(a="a")
    os.utime(builder.context / "a", (1000, 1000))
    builder("FROM busybox\nCOPY a /a\n")
    assert builder.sh("stat -c %Y /a") == "1000\n"
    os.utime(builder.context / "a", (2000, 2000))
    assert "CACHED" in builder("FROM busybox\nCOPY a /a\n").stderr


def test_a_copied_link_is_a_link_and_a_source_that_is_a_link_is_followed(builder: Builder) -> None:
    builder.files(dir__x="content")
    (builder.context / "dir/link").symlink_to("/etc/passwd")
    (builder.context / "source").symlink_to("/dir/x")  # the context is its root
    builder("FROM busybox\nCOPY dir /d\nCOPY source /s\n")
    assert builder.sh("readlink /d/link; cat /s") == "/etc/passwd\ncontent"


def test_a_destination_does_not_leave_the_image(builder: Builder, tmp_path: Path) -> None:
    builder.files(evil="evil")
    builder(f"FROM busybox\nRUN mkdir -p {tmp_path} /l && ln -s / /l/up && ln -s {tmp_path} /out\n"
            "COPY evil /out/file\nCOPY evil /l/up/../../../../top\n")  # fmt: skip
    assert not (tmp_path / "file").exists()
    assert builder.sh(f"cat {tmp_path}/file /top") == "evilevil"


def test_a_link_layer_does_not_depend_on_the_layers_below(builder: Builder) -> None:
    builder.files(a="a")
    builder("FROM busybox\nRUN echo 1 > /one\nCOPY --link a /x/a\n")
    done = builder("FROM busybox\nRUN echo 2 > /two\nCOPY --link a /x/a\n")
    assert done.stderr.count("CACHED") == 1
    assert builder.sh("cat /two /x/a") == "2\na"


@pytest.mark.parametrize("form", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_add_unpacks_an_archive(builder: Builder, form: str) -> None:
    builder.files(in__f="file")
    os.chown(builder.context / "in/f", 5, 6)
    with tarfile.open(builder.context / f"x.{form}", f"w:{form[4:]}") as archive:
        archive.add(builder.context / "in", "in")
    builder(f"FROM busybox\nADD x.{form} /u\nADD --unpack=false x.{form} /k\nCOPY x.{form} /c\n")
    assert builder.sh("stat -c '%n %u' /u/in/f; cat /u/in/f; echo; stat -c %F /k /c") == (
        "/u/in/f 5\nfile\nregular file\nregular file\n"
    )


def test_an_archive_cannot_leave_the_image(builder: Builder, tmp_path: Path) -> None:
    with tarfile.open(builder.context / "x.tar", "w") as archive:
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("out/evil"))
    builder("FROM busybox\nADD x.tar /\n", check=False)
    assert not (tmp_path / "evil").exists()
    with tarfile.open(builder.context / "x.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../../evil"))
    assert "leads outside the archive's root" in builder.error("FROM busybox\nADD x.tar /\n")


def test_a_file_that_is_compressed_but_no_archive_is_copied(builder: Builder) -> None:
    import gzip

    (builder.context / "x.gz").write_bytes(gzip.compress(b"only text"))
    builder("FROM busybox\nADD x.gz /\n")
    assert builder.sh("zcat /x.gz") == "only text"


def test_documents_become_files(builder: Builder) -> None:
    builder(
        "FROM busybox\nARG V=value\nCOPY <<one <<'two' /d/\n$V \"quoted\" \\$V\none\n$V\ntwo\n"
        "COPY --chmod=755 --chown=5 <<-EOF /s\n\t#!/bin/sh\n\techo ran\n\tEOF\nRUN /s > /out\n"
    )
    assert builder.sh("cat /d/one /d/two /out; stat -c %u /s") == 'value "quoted" $V\n$V\nran\n5\n'


def test_a_large_sparse_file_stays_small(builder: Builder) -> None:
    with (builder.context / "sparse").open("wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(b"data")
    builder("FROM busybox\nCOPY sparse /s\n")
    assert int(builder.sh("stat -c %b /s")) < 1000
