"""The corpus of Dockerfiles that Docker, podman and this engine build: name, text, and flags of the command."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

CORPUS: dict[str, tuple[str, list[str]]] = {}


def _case(name: str, text: str, *flags: str) -> None:
    CORPUS[name] = (text, list(flags))


def make_context(directory: Path) -> None:
    """Create the context of all cases."""
    for name in ("a", "b", "dir/x", "dir/.hidden", "dir/sub/y", "dir/sub/z.md", "ignored/i", "odd name"):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n")
    (directory / "script.sh").write_text("#!/bin/sh\necho ran\n")
    (directory / "script.sh").chmod(0o755)
    (directory / "a").chmod(0o640)
    (directory / "dir/sub").chmod(0o750)
    os.symlink("x", directory / "dir/link")
    os.symlink("dir", directory / "to-dir")
    (directory / ".dockerignore").write_text("ignored\n**/*.md\n!dir/sub/keep.md\n*.tar*\n!x.tar.gz\n")
    with tarfile.open(directory / "x.tar.gz", "w:gz") as archive:
        archive.add(directory / "dir", "in")
    for path, _, names in os.walk(directory):
        for name in (*names, "."):
            os.utime(Path(path, name), (1_600_000_000, 1_600_000_000), follow_symlinks=False)


# The config
_case("from-only", "FROM busybox\n")
_case("cmd-exec", 'FROM busybox\nCMD ["a", "b c", "$X"]\n')
_case("cmd-shell", "FROM busybox\nCMD echo $HOME && ls\n")
_case("cmd-not-quite-json", "FROM busybox\nCMD ['a', 'b']\n")
_case("entrypoint-drops-cmd", 'FROM busybox\nENTRYPOINT ["e"]\n')
_case("entrypoint-keeps-own-cmd", 'FROM busybox\nCMD ["c"]\nENTRYPOINT e\n')
_case("entrypoint-empty", "FROM busybox\nENTRYPOINT []\n")
_case("env-forms", "FROM busybox\nENV A=1 B='two words' C=three\\ words\nENV D the rest of it\nENV A=2\n")
_case("env-order", "FROM busybox\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc\n")
_case(
    "env-expansion", "FROM busybox\nENV A=a\nENV B=${A:-x} C=${N:-x} D=${A:+y} E=${N:+y} F=\\$A G=\"$A\" H='$A'\n"
)
_case("label-forms", 'FROM busybox\nLABEL a=1 "b c"="d e"\nLABEL multi="line \\\nnext"\nLABEL a=2\n')
_case("label-flag", "FROM busybox\nLABEL a=1\n", "--label", "a=2", "--label", "z=3")
_case("expose-forms", "FROM busybox\nARG P=8080\nEXPOSE 80 443/tcp 53/udp $P\nEXPOSE 9000-9002\n")
_case("user-forms", "FROM busybox\nARG U=5\nUSER $U:6\n")
_case("volume-forms", 'FROM busybox\nVOLUME /a /b\nVOLUME ["/c d"]\n')
_case("workdir-relative", "FROM busybox\nENV D=/x\nWORKDIR $D/y\nWORKDIR z\nWORKDIR ..\n")
_case("workdir-exists", "FROM busybox\nWORKDIR /tmp\n")
_case("workdir-user", "FROM busybox\nUSER 5\nWORKDIR /w\n")
_case("stopsignal", "FROM busybox\nSTOPSIGNAL SIGUSR1\n")
_case("healthcheck", "FROM busybox\nHEALTHCHECK --interval=5s --timeout=1m --retries=2 CMD test -f /x\n")
_case("healthcheck-exec", 'FROM busybox\nHEALTHCHECK --start-period=1m30s CMD ["true"]\n')
_case("healthcheck-none", "FROM busybox\nHEALTHCHECK CMD true\nHEALTHCHECK NONE\n")
_case("shell", 'FROM busybox\nSHELL ["/bin/ash", "-ec"]\nRUN echo $0 > /s\nCMD x y\n')
_case("onbuild", "FROM busybox\nONBUILD RUN echo a\nONBUILD COPY . /x\n")
_case("maintainer", "FROM busybox\nMAINTAINER someone <a@b>\n")
_case(
    "comments",
    "# first\n\nFROM busybox\n# one\nRUN echo a \\\n # inside\n  && echo b > /f\n   # indented\nCMD x\n",
)
_case("escape", "# escape=`\nFROM busybox\nENV A=C:\\x B=`$A\nRUN echo a `\n  b > /f\n")
_case("lower-case", 'from busybox\nrun echo a > /f\ncmd ["x"]\n')
# ARG
_case("arg-default", "FROM busybox\nARG A=1\nARG B\nARG C=$A-2\nRUN echo $A,$B,$C > /f\nENV D=$C\n")
_case(
    "arg-given",
    "FROM busybox\nARG A=1\nARG B\nRUN echo $A,$B > /f\n",
    "--build-arg",
    "A=x",
    "--build-arg",
    "B=y z",
)
_case("arg-global", "ARG V=busybox\nARG W=w\nFROM $V\nARG W\nRUN echo $V,$W > /f\n")
_case("arg-env", "FROM busybox\nARG A=arg\nENV A=env\nRUN echo $A > /f\n", "--build-arg", "A=given")
_case("arg-unused-before", "FROM busybox\nRUN echo $A > /f\nARG A=1\n")
_case("arg-empty", "FROM busybox\nARG A=\nRUN echo ${A-unset} > /f\n")
_case("arg-proxy", "FROM busybox\nRUN echo $http_proxy > /f\n", "--build-arg", "http_proxy=http://p")
# RUN
_case("run-forms", 'FROM busybox\nRUN echo "a  b" > /f\nRUN ["sh", "-c", "echo c >> /f"]\n')
_case(
    "run-changes",
    "FROM busybox\nRUN echo 1 > /f; mkdir -p /d/e; ln -s f /l; ln /f /h; chmod 600 /f; chown 5:6 /d\n",
)
_case(
    "run-deletes", "FROM busybox\nRUN mkdir /d && touch /d/a /d/b\nRUN rm /d/a && rm -r /tmp && touch /etc/new\n"
)
_case(
    "run-replaces",
    "FROM busybox\nRUN mkdir /d && touch /d/a\nRUN rm -r /d && mkdir /d && touch /d/b\n"
    "RUN rm -r /d && echo > /d\n",
)
_case("run-user", "FROM busybox\nUSER 5:6\nRUN id -u > /tmp/f; id -g >> /tmp/f; pwd >> /tmp/f\n")
_case("run-workdir", "FROM busybox\nWORKDIR /w\nRUN pwd > f\n")
_case("run-nothing", "FROM busybox\nRUN true\nRUN echo > /f\n")
_case("run-volume", "FROM busybox\nRUN mkdir /v\nVOLUME /v\nENV A=1\n")
_case("run-mount-tmpfs", "FROM busybox\nRUN --mount=type=tmpfs,target=/t echo a > /t/f && cp /t/f /f\n")
_case("run-mount-cache", "FROM busybox\nRUN --mount=type=cache,target=/c echo a > /c/f && cp /c/f /f\n")
_case("run-mount-bind", "FROM busybox\nRUN --mount=type=bind,source=dir,target=/m cp /m/x /f\n")
_case(
    "run-mount-from",
    "FROM busybox AS s\nRUN echo a > /s\nFROM busybox\nRUN --mount=type=bind,from=s,target=/m cp /m/s /f\n",
)
# COPY and ADD
_case("copy-file", "FROM busybox\nCOPY a /\nCOPY a /n\nCOPY a /d/\nCOPY b /d/deep/new\n")
_case("copy-dir", "FROM busybox\nCOPY dir /d\nCOPY dir/ /e/\nCOPY dir/sub /f/\n")
_case("copy-all", "FROM busybox\nCOPY . /all/\n")
_case("copy-several", "FROM busybox\nCOPY a b dir /d/\n")
_case("copy-wild", "FROM busybox\nCOPY ? /d/\nCOPY dir/* /e/\nCOPY [a-b] /f/\n")
_case("copy-json", 'FROM busybox\nCOPY ["odd name", "/d/odd to"]\n')
_case("copy-workdir", "FROM busybox\nWORKDIR /w\nCOPY a .\nCOPY a ./n\nCOPY dir .\n")
_case("copy-variables", "FROM busybox\nARG S=a\nENV D=/d\nCOPY $S ${D}/x\n")
_case("copy-chown", "FROM busybox\nCOPY --chown=5:6 a dir /d/\nCOPY --chown=root:root b /e\nCOPY --chown=7 b /f\n")
_case("copy-chmod", "FROM busybox\nCOPY --chmod=711 a /f\nCOPY --chmod=755 dir /d\n")
_case(
    "copy-over",
    "FROM busybox\nRUN mkdir -m 700 /d && chown 5 /d && echo old > /d/x && touch /d/kept\nCOPY dir /d\n",
)
_case("copy-link", "FROM busybox\nCOPY to-dir /d\nCOPY dir/link /l\n")
_case("copy-into-link", "FROM busybox\nRUN mkdir /real && ln -s /real /link\nCOPY a /link/\nCOPY dir /link\n")
_case("copy-dot-destination", "FROM busybox\nWORKDIR /w/x\nCOPY a ..\nCOPY b ../y/\n")
_case("add-archive", "FROM busybox\nADD x.tar.gz /d/\n")
_case("add-file", "FROM busybox\nADD a /d/\nADD dir /e\n")
_case("add-copy-archive", "FROM busybox\nCOPY x.tar.gz /d/\n")
# Stages
_case(
    "stages", "FROM busybox AS one\nRUN echo 1 > /f\nFROM busybox\nCOPY --from=one /f /g\nCOPY --from=0 /f /h/\n"
)
_case("stage-as-base", 'FROM busybox AS one\nENV A=1\nRUN echo 1 > /f\nCMD ["x"]\nFROM one\nRUN echo $A >> /f\n')
_case("stage-target", "FROM busybox AS one\nRUN echo 1 > /f\nFROM busybox AS two\nRUN false\n", "--target", "one")
_case("stage-upper-case", "FROM busybox AS One\nRUN echo 1 > /f\nFROM busybox\nCOPY --from=ONE /f /g\n")
_case("copy-from-image", "FROM scratch\nCOPY --from=busybox /bin/busybox /bin/sh\n")
_case(
    "copy-from-owners",
    "FROM busybox AS s\nRUN mkdir /d && touch /d/x && chown -R 5:6 /d\nFROM busybox\nCOPY --from=s /d /e\n",
)
_case("scratch", 'FROM scratch\nCOPY a /\nCMD ["/a"]\n')
_case("scratch-workdir", "FROM scratch\nWORKDIR /w\nCOPY a .\n")

WRONG = r"""
HEALTHCHECK x y
HEALTHCHECK NONE y
HEALTHCHECK CMD
HEALTHCHECK --interval=1us CMD y
EXPOSE 70000
EXPOSE x
EXPOSE 80/x
STOPSIGNAL NONE
RUN --mount=type=bnd,target=/x y
RUN --mount=type=cache,tgt=/x y
RUN --mount=type=cache,target=/ y
RUN --mount=target=/x,mode=7 y
RUN --mount=type=cache,target=/x,sharing=all y
COPY --from=9 / /
COPY a
SHELL sh
SHELL []
ONBUILD
ONBUILD ONBUILD RUN x
ONBUILD FROM x
ENV A=1 B
ENV A
ENV =x
ENV A='x
LABEL a
ARG =x
USER
VOLUME [""]
RUM x
""".strip().splitlines()
"""Lines that Docker's BuildKit refuses before the first step, in the same words as we do."""
WRONG_IN_OTHER_WORDS = r"""
HEALTHCHECK --interval=x CMD y
HEALTHCHECK --retries=x CMD y
HEALTHCHECK --often=1s CMD y
RUN --mount=from=$X,target=/x y
RUN --networ=none y
COPY --form=a / /
LABEL A=${B!}
USER ${U
WORKDIR ${W
COPY ${P /x /
""".strip().splitlines()
