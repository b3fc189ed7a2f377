"""`build`: one stage and several, the config and the history, errors, and what becomes of the result."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import stat
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.cli.image.conftest import Builder
from tests.conftest import Pyctr
from tests.registries.servers import DockerRegistry

RANDOM = "cat /proc/sys/kernel/random/uuid"
EVERYTHING = """
FROM busybox
ARG WHO=world
ENV GREETING="hello $WHO"
RUN echo "$GREETING" > /greeting
WORKDIR /srv
WORKDIR www
USER 5:6
RUN id -u > /tmp/uid; pwd >> /tmp/uid
EXPOSE 80
VOLUME /data
LABEL a=b
STOPSIGNAL SIGINT
HEALTHCHECK NONE
CMD ["cat", "/greeting"]
"""


def test_an_image_has_the_files_the_config_and_the_history_of_its_dockerfile(builder: Builder) -> None:
    builder(EVERYTHING, "--label", "c=d")
    assert builder.pyctr("run", "--rm", "it", check=True).stdout == "hello world\n"
    assert builder.sh("cat /tmp/uid; stat -c %U:%a /srv/www") == "5\n/srv/www\nroot:755\n"
    config = builder.config()
    assert config["Env"][-1] == "GREETING=hello world"
    assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("5:6", "/srv/www", "SIGINT")
    assert (config["ExposedPorts"], config["Volumes"]) == ({"80/tcp": {}}, {"/data": {}})
    assert config["Labels"] == {"a": "b", "c": "d"}
    assert builder.history() == [
        "ARG WHO=world",
        "ENV GREETING=hello world",
        'RUN |1 WHO=world /bin/sh -c echo "$GREETING" > /greeting # buildkit',
        "WORKDIR /srv",
        "WORKDIR /srv/www",
        "USER 5:6",
        "RUN |1 WHO=world /bin/sh -c id -u > /tmp/uid; pwd >> /tmp/uid # buildkit",
        "EXPOSE [80/tcp]",
        "VOLUME [/data]",
        "LABEL a=b",
        "STOPSIGNAL SIGINT",
        "HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
        'CMD ["cat" "/greeting"]',
    ]
    assert len(builder.inspect()["RootFS"]["Layers"]) == 5


def test_a_second_build_is_cached_and_gives_the_same_image(builder: Builder) -> None:
    text = f"FROM busybox\nRUN {RANDOM} > /now\nCOPY a /a\nWORKDIR /w\n"
    builder.files(a="1")
    first = builder(text, "-q").stdout
    second = builder(text)
    assert second.stderr.count("CACHED") == 3
    assert first.strip() in second.stderr
    builder.files(a="2")
    third = builder(text)
    assert third.stderr.count("CACHED") == 1


def test_a_second_build_without_a_layer_gives_the_same_image(builder: Builder) -> None:
    text = "FROM busybox\nENV A=1\nRUN echo\n"
    assert builder(text, "-q").stdout == builder(text, "-q").stdout
    assert builder.inspect()["Created"] == json.loads(builder.pyctr("inspect", "busybox").stdout)[0]["Created"]


def test_without_the_cache_everything_runs_again(builder: Builder) -> None:
    text = f"FROM busybox AS one\nRUN {RANDOM} > /now\nFROM one\nRUN {RANDOM} > /then\n"
    builder(text)
    assert "CACHED" not in builder(text, "--no-cache").stderr
    assert builder(text, "--no-cache-filter", "one").stderr.count("CACHED") == 0
    assert builder(text).stderr.count("CACHED") == 2


@pytest.mark.parametrize(
    ("before", "after", "cached"),
    [
        ("ARG A\nRUN true > /x\n", "ARG A\nRUN true > /x\n", False),
        ("RUN true > /x\nARG A\n", "RUN true > /x\nARG A\n", True),
        ("ENV B=1\nRUN true > /x\n", "ENV B=2\nRUN true > /x\n", False),
        ("LABEL B=1\nRUN true > /x\n", "LABEL B=2\nRUN true > /x\n", True),
        ("USER 1\nRUN true > /tmp/x\n", "USER 2\nRUN true > /tmp/x\n", False),
    ],
)
def test_the_cache_knows_what_a_run_depends_on(builder: Builder, before: str, after: str, cached: bool) -> None:
    builder(f"FROM busybox\n{before}", "--build-arg", "A=1")
    assert ("CACHED" in builder(f"FROM busybox\n{after}", "--build-arg", "A=2").stderr) == cached


def test_a_proxy_is_in_the_environment_but_not_in_the_key_or_the_history(builder: Builder) -> None:
    text = "FROM busybox\nRUN echo $http_proxy > /p\n"
    builder(text, "--build-arg", "http_proxy=http://one")
    assert builder.sh("cat /p") == "http://one\n"
    assert "CACHED" in builder(text, "--build-arg", "http_proxy=http://two").stderr
    assert builder.history() == ["RUN /bin/sh -c echo $http_proxy > /p # buildkit"]


def test_stages_are_built_if_they_are_needed(builder: Builder) -> None:
    text = """
ARG BASE=busybox
FROM $BASE AS base
ARG INHERITED=yes
ENV E=1
CMD ["base"]
FROM base AS Tools
RUN echo $INHERITED > /tool
ENTRYPOINT ["entry"]
FROM nosuchimage AS unused
RUN false
FROM scratch
COPY --from=tools /tool /from-name
COPY --from=1 /tool /from-number
COPY --from=busybox /bin/busybox /bin/sh
"""
    done = builder(text)
    assert "unused" not in done.stderr
    assert "[tools 1/1] RUN echo $INHERITED > /tool" in done.stderr
    assert builder.sh("echo /*; read x < /from-name; echo $x").splitlines()[1] == "yes"
    builder(text, "--target", "tools")
    assert (builder.config()["Entrypoint"], builder.config()["Cmd"]) == (["entry"], None)
    assert builder.config()["Env"][-1] == "E=1"


def test_a_stage_has_the_arguments_of_its_base_unless_the_base_has_such_a_variable(builder: Builder) -> None:
    builder(
        "FROM busybox AS one\nENV A=env\nARG A=arg B=arg\nRUN echo $A $B > /one\nFROM one\nRUN echo $A $B > /two\n"
    )
    assert builder.sh("cat /one /two") == "arg arg\nenv arg\n"


def test_an_image_without_any_layer_and_without_a_base_can_be_built(builder: Builder) -> None:
    builder('FROM scratch\nCMD ["x"]\n')
    assert builder.inspect()["RootFS"]["Layers"] == []
    assert builder.config()["Env"] == ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]


def test_triggers_run_in_the_child(builder: Builder) -> None:
    builder.files(f="content")
    builder("FROM busybox\nONBUILD COPY f /copied\nONBUILD ENV T=1\n")
    assert builder.config()["OnBuild"] == ["COPY f /copied", "ENV T=1"]
    assert "No such file" in builder.sh("cat /copied 2>&1 || true")
    builder.pyctr("tag", "it", "parent", check=True)
    done = builder("FROM parent\nRUN cat /copied > /again; echo $T >> /again\n")
    titles = [line.partition(" ")[2] for line in done.stderr.splitlines() if "/4]" in line]
    assert titles == [  # BuildKit counts all triggers, also those that are not steps
        "[1/4] FROM parent",
        "[2/4] ONBUILD COPY f /copied",
        "[3/4] RUN cat /copied > /again; echo $T >> /again",
    ]
    assert builder.sh("cat /again") == "content1\n"
    assert builder.config()["OnBuild"] is None


def test_a_trigger_with_a_heredoc_runs_in_the_child(builder: Builder) -> None:
    builder(
        "FROM busybox\nARG V=1\nONBUILD COPY <<a /a\n$V\na\nONBUILD RUN <<EOF\ncat /a > /b\necho 2 >> /b\nEOF\n"
    )
    assert builder.config()["OnBuild"] == ["COPY <<a /a\n$V\na", "RUN <<EOF\ncat /a > /b\necho 2 >> /b\nEOF"]
    builder.pyctr("tag", "it", "parent", check=True)
    builder("FROM parent\n")
    assert builder.sh("cat /b") == "\n2\n"


def test_triggers_of_a_stage_run_in_the_stages_that_begin_with_it(builder: Builder) -> None:
    builder(
        "FROM busybox AS one\nRUN echo 1 > /one\nFROM scratch AS base\nONBUILD COPY --from=one /one /got\n"
        "FROM base\nCOPY --from=busybox /bin /bin\n"
    )
    assert builder.sh("cat /got") == "1\n"


def test_a_trigger_that_is_wrong_is_an_error_of_from(builder: Builder) -> None:
    builder("FROM busybox\nONBUILD EXPOSE ${P:-x}\n")
    builder.pyctr("tag", "it", "parent", check=True)
    error = builder.error("FROM busybox\nRUN echo runs\nFROM parent\nCOPY --from=0 / /\n")
    assert "the.Dockerfile:3\n" in error
    assert "ONBUILD EXPOSE ${P:-x}: invalid containerPort: x" in error
    assert "] RUN echo runs" not in error


def test_two_builds_at_one_source_date_epoch_are_equal(builder: Builder) -> None:
    builder.files(a="a", d__b="b")
    text = "FROM busybox\nRUN mkdir /d && echo x > /d/f\nCOPY . /c/\nCOPY <<x /doc\ntext\nx\nWORKDIR /w\nENV A=1\n"
    ids = set()
    for number in range(2):
        builder("FROM busybox\nRUN true\n", "--no-cache")  # something between them
        os.utime(builder.context / "a", (2e9 + number, 2e9 + number))
        ids.add(builder(text, "-q", "--no-cache", env={"SOURCE_DATE_EPOCH": "1700000000"}).stdout)
    assert len(ids) == 1
    assert builder.inspect()["Created"] == "2023-11-14T22:13:20Z"
    assert builder.sh("stat -c %Y /c/a /d /d/f /w /doc") == "1700000000\n" * 5
    other = builder(text, "-q", "--build-arg", "SOURCE_DATE_EPOCH=1600000000").stdout
    assert other not in ids


def test_source_date_epoch_is_the_time_of_all_lines_and_may_have_a_default(builder: Builder) -> None:
    builder("ARG SOURCE_DATE_EPOCH=1700000000\nFROM busybox\nENV A=1\n")
    assert builder.inspect()["Created"] == "2023-11-14T22:13:20Z"
    builder("FROM it\nENV B=1\nRUN echo > /f\n", env={"SOURCE_DATE_EPOCH": "1600000000"})
    shown = builder.pyctr("history", "-H=false", "--format", "{{.CreatedAt}}", "it", check=True).stdout.split()
    assert shown[:-1] == ["2020-09-13T12:26:40Z", "2020-09-13T12:26:40Z", "2023-11-14T22:13:20Z"]
    wrong = builder.error("ARG SOURCE_DATE_EPOCH=x\nFROM busybox\nRUN echo first\n")
    assert "SOURCE_DATE_EPOCH=x: it must be a number of seconds since 1970" in wrong


@pytest.mark.parametrize("times", [{}, {"created": None}])
def test_a_base_may_have_a_history_without_times(builder: Builder, tmp_path: Path, times: dict[str, Any]) -> None:
    archive = tmp_path / "base.tar"
    builder.pyctr("save", "-o", archive, "busybox", check=True)
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "base")
    (described,) = json.loads((tmp_path / "base/manifest.json").read_text())
    config = json.loads((tmp_path / "base" / described["Config"]).read_text())
    config["history"] = [{"created_by": "ages ago", **times}]
    (tmp_path / "base/config.json").write_text(json.dumps(config))
    (tmp_path / "base/manifest.json").write_text(
        json.dumps([described | {"Config": "config.json", "RepoTags": ["timeless:1"]}])
    )
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "base", "")
    builder.pyctr("load", "-i", archive, check=True)
    builder("FROM timeless:1\nENV A=1\nRUN echo > /f\nENV A=2\n", "--build-arg", "SOURCE_DATE_EPOCH=1700000000")
    shown = builder.pyctr("history", "--human=false", "--format", "{{.CreatedAt}}", "it", check=True).stdout
    assert shown == "2023-11-14T22:13:20Z\n" * 4


def test_an_error_shows_its_lines_and_the_exit_code(builder: Builder) -> None:
    error = builder.error("FROM busybox\n\nRUN echo told && \\\n    exit 7\nCMD x\n")
    assert " told\n" in error
    assert "the.Dockerfile:3\n--------------------\n   1 |     FROM busybox\n   2 |     \n" in error
    assert "   3 | >>> RUN echo told && \\\n   4 | >>>     exit 7\n   5 |     CMD x\n" in error
    assert error.endswith(
        'pyctr_lite: failed to solve: process "/bin/sh -c echo told &&     exit 7" did not complete successfully: '
        "exit code: 7\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM busybox\nRUUN x\n", "unknown instruction: RUUN\n  did you mean RUN?"),
        ("FROM localhost:1/nosuch\n", "localhost:1/nosuch: "),
        ("FROM 0123456789abcdef\n", "No such image: 0123456789abcdef"),
        ("FROM $NONE\n", "base name ($NONE) should not be blank"),
        ("FROM busybox\nCOPY no /\n", '"/no": not found'),
        ('FROM busybox\nRUN ["/no"]\n', "no such file or directory"),
        ("FROM busybox AS a\nCOPY --from=later /a /\nFROM a AS later\n", "it needs to be defined before"),
        ("FROM busybox\nCOPY --from=7 /a /\n", "invalid stage index 7"),
        ("FROM busybox\nRUN --network=host x\n", "network.host is not allowed"),
        ("FROM busybox\nRUN --security=insecure x\n", "security.insecure is not allowed"),
        ("FROM --platform=linux/s390x busybox\n", "cannot build for linux/s390x"),
        ("FROM busybox\nUSER nobody9\nRUN x\n", "unable to find user nobody9"),
        ("FROM busybox\nADD --checksum=sha256:0 a /\n", "checksum requires one HTTP(S) source"),
        ("FROM busybox\nCOPY http://localhost/ /\n", "source can't be a URL for COPY"),
        ("FROM --platform=foo busybox\n", "cannot build for foo: this machine is "),
        ("FROM --platform=a/b/c/d busybox\n", "invalid platform: 'a/b/c/d'"),
    ],
)
def test_a_mistake_is_one_clear_message(builder: Builder, text: str, message: str) -> None:
    error = builder.error(text)
    assert message in error
    assert error.count("pyctr_lite: ") == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("HEALTHCHECK --interval=x CMD y", "invalid duration 'x' for --interval"),
        ("EXPOSE 70000", "invalid containerPort: 70000"),
        ("EXPOSE $PORT", "invalid containerPort: eighty"),
        ("STOPSIGNAL SIGNONE", "invalid signal: SIGNONE"),
        ("STOPSIGNAL $PORT", "invalid signal: eighty"),
        ("RUN --mount=type=$PORT,target=/x y", 'unsupported mount type "eighty"'),
        ("RUN --mount=from=later,target=/x y", "it needs to be defined before this stage"),
        ("RUN --mount=from=no9,target=/x y", "no9: "),
        ("RUN --mount=type=cache,target=/ y", 'invalid mount target "/"'),
        ("RUN --network=host y", "network.host is not allowed"),
        ("COPY --from=no9 / /", "no9: "),
        ("COPY --from=9 / /", "invalid stage index 9"),
        ("COPY --chmod=$PORT / /", "invalid chmod parameter: 'eighty'"),
        ("COPY --exclude=[ / /", "syntax error in pattern: '['"),
        ("COPY ${PORT /x /", "missing '}'"),
        ("ADD --checksum=sha256:0 http://127.0.0.1/x /", "invalid checksum sha256:0"),
        ("ADD https://127.0.0.1/x.git /", "a git repository is not supported as a source"),
        ("ADD git@github.com:a/b /", "a git repository is not supported as a source"),
        ("ENV A='x", "looking for matching single-quote"),
        ("LABEL A=${B!}", "unsupported modifier"),
        ("USER ${U", "missing '}'"),
        ("WORKDIR ${W", "missing '}'"),
        ("ARG X=${W", "missing '}'"),
        ("ONBUILD EXPOSE", "EXPOSE requires at least one argument"),
    ],
)
def test_nothing_runs_if_a_later_line_is_wrong(builder: Builder, line: str, message: str) -> None:
    error = builder.error(
        f"FROM busybox AS one\nRUN echo runs\nFROM busybox\nCOPY --from=one /etc /e\nENV PORT=eighty\n{line}\n"
        "FROM busybox AS later\n",
        *("--target", "1"),
    )
    assert message in error
    assert "\nthe.Dockerfile:6\n" in error
    assert f"   6 | >>> {line}\n" in error
    assert error.count("pyctr_lite: ") == 1
    assert "] RUN echo runs" not in error


def test_a_stage_that_is_not_needed_may_have_a_wrong_value(builder: Builder) -> None:
    builder("FROM busybox AS unused\nEXPOSE none\nSTOPSIGNAL none\nCOPY --from=9 / /\nFROM busybox\n")


def test_a_copy_that_fails_has_the_line_of_its_step(builder: Builder) -> None:
    error = builder.error("FROM busybox\nWORKDIR /w\nCOPY no /\n")
    assert '#4 [3/3] COPY no /\n#4 ERROR: "/no": not found\n' in error


def test_a_working_directory_that_is_a_file_is_an_error_of_its_line(builder: Builder) -> None:
    error = builder.error("FROM busybox\nWORKDIR /etc/passwd/x\n")
    assert "   2 | >>> WORKDIR /etc/passwd/x\n" in error
    assert "failed to solve: cannot make the directory /etc/passwd/x: a file has its name\n" in error


def test_a_chain_of_many_stages_is_built(builder: Builder) -> None:
    builder("FROM scratch AS s0\n" + "".join(f"FROM s{it} AS s{it + 1}\nENV N={it}\n" for it in range(1500)))
    assert builder.config()["Env"][-1] == "N=1499"


def test_a_missing_base_is_pulled_and_a_present_one_if_asked(
    builder: Builder, registry: DockerRegistry, repository: str
) -> None:
    name = f"{registry.host}/{repository}:1"
    builder("FROM busybox\nRUN echo 1 > /n\n", "-t", name)
    builder.pyctr("push", name, check=True)
    builder.pyctr("rmi", name, check=True)
    assert f"[internal] pull {name}" in builder(f"FROM {name}\nCOPY --from={name} /n /m\n").stderr
    assert builder.sh("cat /n /m") == "1\n1\n"
    assert "[internal] pull" not in builder(f"FROM {name}\n").stderr
    assert "[internal] pull" in builder(f"FROM {name}\n", "--pull").stderr
    error = builder.error(f"FROM busybox\nCOPY --from={registry.host}/{repository}:none /n /m\n")
    assert "the.Dockerfile:2" in error


def test_a_target_that_does_not_exist_gets_a_suggestion(builder: Builder) -> None:
    assert "did you mean build?" in builder.error("FROM busybox AS build\n", "--target", "biuld")


def test_build_arguments_that_nothing_declares_are_reported(builder: Builder) -> None:
    done = builder("FROM busybox\nARG A\n", "--build-arg", "A=1", "--build-arg", "B=2")
    assert "[Warning] One or more build-args [B] were not consumed" in done.stderr


def test_the_target_stage_is_an_argument(builder: Builder) -> None:
    text = "FROM busybox AS One\nARG TARGETSTAGE\nRUN echo $TARGETSTAGE > /stage\nFROM one{}\n"
    for ending, flags, stage in (("", (), "default"), (" AS two", (), "two"), ("", ("--target", "one"), "one")):
        builder(text.format(ending), *flags)
        assert builder.sh("cat /stage") == f"{stage}\n"


def test_the_dockerfile_can_come_from_stdin(builder: Builder) -> None:
    builder.files(a="content")
    text = "FROM busybox\nCOPY a /a\n"
    builder.pyctr("build", "-t", "it", "-f", "-", builder.context, input=text, check=True)
    assert builder.sh("cat /a") == "content"
    builder.pyctr("build", "-t", "it", "-", input="FROM busybox\nRUN echo 1 > /b\n", check=True)
    assert builder.sh("cat /b") == "1\n"
    done = builder.pyctr("build", "-", input="FROM busybox\nRUN false\n")
    assert "load build definition from Dockerfile\n" in done.stderr
    assert "\nDockerfile:2\n" in done.stderr
    reading, writing = os.pipe()  # as a shell's <(…)
    os.write(writing, text.encode())
    os.close(writing)
    command = builder.pyctr.command("build", "-q", "-f", f"/dev/fd/{reading}", builder.context)
    assert subprocess.run(command, pass_fds=[reading], capture_output=True).returncode == 0
    os.close(reading)


def test_the_context_can_be_an_archive_on_stdin(builder: Builder, tmp_path: Path) -> None:
    builder.files(Dockerfile="FROM busybox\nCOPY . /c\n", a="content", b="ignored")
    builder.files(**{".dockerignore": "b\n"})
    path = tmp_path / "context.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(builder.context, ".")
    with path.open("rb") as file:
        subprocess.run(
            builder.pyctr.command("build", "-t", "it", "-"), stdin=file, check=True, capture_output=True
        )
    assert builder.sh("cd /c; echo * .d*") == "Dockerfile a .dockerignore\n"


def test_a_dockerfile_has_a_dockerignore_of_its_own(builder: Builder) -> None:
    builder.files(a="a", b="b", **{".dockerignore": "a\n"})
    builder("FROM busybox\nCOPY . /c\n")
    assert builder.sh("cd /c; echo *") == "b\n"
    (builder.context.parent / "the.Dockerfile.dockerignore").write_text("# others\nb\n.dockerignore\n")
    builder("FROM busybox\nCOPY . /c\n")
    assert builder.sh("cd /c; echo * .d*") == "a .d*\n"


def test_the_id_is_printed_alone_and_written_to_a_file(builder: Builder, tmp_path: Path) -> None:
    done = builder("FROM busybox\nRUN echo loud\n", "-q", "--iidfile", str(tmp_path / "id"), "-t", "other:2")
    assert done.stderr == ""
    assert done.stdout.strip() == (tmp_path / "id").read_text() == builder.inspect()["Id"]
    assert builder.inspect()["RepoTags"] == ["it:latest", "other:2"]


def test_plain_progress_numbers_its_steps(builder: Builder) -> None:
    lines = builder("FROM busybox\nRUN printf 'no newline'\nENV A=1\nRUN echo\n").stderr.splitlines()
    assert "#2 [1/3] FROM busybox" in lines
    assert "#3 [2/3] RUN printf 'no newline'" in lines
    assert [line.split(" ", 2)[2] for line in lines if line.startswith("#3 0.")] == ["no newline"]
    assert lines[-1].startswith("#5 DONE ")


def test_a_terminal_shows_the_end_of_the_output_and_nothing_of_it_afterwards(builder: Builder) -> None:
    (builder.context / "Dockerfile").write_text(
        "FROM busybox\nRUN seq 9; printf '\\033[2Jred\\n'\nRUN echo bad; false\n"
    )
    pid, fd = pty.fork()
    if pid == 0:
        command = builder.pyctr.command("build", str(builder.context))
        os.execve(command[0], command, {**os.environ, "TERM": "xterm", "COLUMNS": "60"})
    output = b""
    with open(fd, "rb", buffering=0) as screen, contextlib.suppress(OSError):
        while data := screen.read(4096):
            output += data
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    text = output.decode()
    assert " => => 9\r\n => => \\x1b[2Jred\r\n\x1b[7A\x1b[J => [2/3] RUN seq 9; " in text
    assert re.search(r" => ERROR \[3/3\] RUN echo bad; false  0\.\ds\r\n > bad\r\n", text)


def test_the_result_can_be_a_directory_or_an_archive(builder: Builder, tmp_path: Path) -> None:
    builder.files(a="a")
    text = "FROM scratch\nCOPY --chown=5:6 --chmod=4755 a /d/a\n"
    builder(text, "-o", str(tmp_path / "out"))
    assert (tmp_path / "out/d/a").read_text() == "a"
    assert (tmp_path / "out/d/a").stat().st_uid == os.geteuid()
    assert not (tmp_path / "out/d/a").stat().st_mode & stat.S_ISUID
    builder(text, "-o", f"type=tar,dest={tmp_path}/out.tar")
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert archive.getnames() == ["d", "d/a"]
    builder(text, "-o", f"type=oci,dest={tmp_path}/oci.tar")
    with tarfile.open(tmp_path / "oci.tar") as archive:
        assert "oci-layout" in archive.getnames()
    assert builder.pyctr("images", "-q", "other").stdout == ""
    assert "unsupported output type" in builder(text, "-o", "type=x,dest=y", check=False).stderr


def test_an_output_can_have_names(builder: Builder, tmp_path: Path) -> None:
    pyctr, (path, text) = builder.pyctr, (builder.context / "Dockerfile", "FROM scratch\nLABEL a=b\n")
    path.write_text(text)
    pyctr("build", "-o", '"name=named:1,named:2",type=image', builder.context, check=True)
    assert pyctr("images", "named", "--format", "{{.Tag}}", check=True).stdout.split() == ["1", "2"]
    pyctr("build", "-o", "type=cacheonly,name=other", builder.context, check=True)
    assert pyctr("images", "-q", "other").stdout == ""


def test_metadata_of_the_result_is_written(builder: Builder, tmp_path: Path) -> None:
    builder("FROM busybox\nENV A=1\n", "--metadata-file", str(tmp_path / "result"), "-t", "other:2")
    assert json.loads((tmp_path / "result").read_text()) == {
        "containerimage.config.digest": builder.inspect()["Id"],
        "containerimage.digest": builder.inspect()["RepoDigests"][0].partition("@")[2],
        "image.name": "docker.io/library/it:latest,docker.io/library/other:2",
    }


def test_a_context_from_elsewhere_is_refused_clearly(pyctr: Pyctr, tmp_path: Path) -> None:
    done = pyctr("build", tmp_path / "no")
    assert f'unable to prepare context: path "{tmp_path}/no" not found' in done.stderr
    done = pyctr("build", tmp_path)
    assert "failed to read dockerfile: open Dockerfile: no such file or directory" in done.stderr
    assert pyctr("build", "-", "-f", "-", input="x").returncode == 1


def test_builds_have_other_names(pyctr: Pyctr, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\n")
    for verb in (("image", "build"), ("builder", "build")):
        assert pyctr(*verb, "-q", tmp_path, check=True).stdout.startswith("sha256:")


def test_a_binary_dockerfile_is_refused(pyctr: Pyctr, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_bytes(b"FROM \xff")
    assert "neither a tar archive nor UTF-8 text" in pyctr("build", tmp_path).stderr


def test_events_and_labels_of_a_build(builder: Builder) -> None:
    builder("FROM busybox\nRUN true\n")
    lines = builder.pyctr("events", "--since", "1h", "--until", "0s", "--format", "json", check=True).stdout
    assert [it["Action"] for it in map(json.loads, lines.splitlines()) if it["Type"] == "image"] == ["tag"]
