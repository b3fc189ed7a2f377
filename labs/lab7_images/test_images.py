"""The checks of lab 7. Names, challenges and entries are made up; pulls and builds are the engine's own."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import random
import re
import select
import socket
import stat
import subprocess
import sys
import tarfile
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from labs.kit.checks import registry, token_server
from labs.kit.checks.arena import SLOWNESS, Raised
from labs.kit.checks.expect import equal, expect
from labs.kit.checks.syscalls import FILES, WRITES, Watch
from labs.kit.exercises import manifest
from pyctr_lite.errors import BrokenArchive, InvalidArgument, PyctrError
from pyctr_lite.images.partial import CHUNK
from pyctr_lite.registries.authorization import basic
from pyctr_lite.registries.credentials import Credential

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs.kit.checks.arena import Answer
    from labs.kit.checks.syscalls import Call
    from labs.kit.checks.yours import Function, Yours

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[registry.Registry]:
    """A registry for all checks, with the image app:1 of one file."""
    with registry.running(tmp_path_factory.mktemp("registry") / "data") as made:
        made.put_image("app", registry.layer())
        yield made


# --- 7.1 -------------------------------------------------------------------------------------------------

HUB = "docker.io"
NAMES: dict[str, tuple[str, str, str, str, bool]] = {
    "busybox": (HUB, "library/busybox", "latest", "", True),
    "busybox:1.36": (HUB, "library/busybox", "1.36", "", False),
    "busybox:latest": (HUB, "library/busybox", "latest", "", False),
    "library/busybox": (HUB, "library/busybox", "latest", "", True),
    "docker.io/busybox": (HUB, "library/busybox", "latest", "", True),
    "docker.io/library/busybox:1": (HUB, "library/busybox", "1", "", False),
    "index.docker.io/busybox": (HUB, "library/busybox", "latest", "", True),
    "index.docker.io/someone/tool:2": (HUB, "someone/tool", "2", "", False),
    "index.docker.io.example.org/a": ("index.docker.io.example.org", "a", "latest", "", True),
    "an-index.docker.io/a": ("an-index.docker.io", "a", "latest", "", True),
    "someone/tool": (HUB, "someone/tool", "latest", "", True),
    "a/b/c:t": (HUB, "a/b/c", "t", "", False),
    "localhost/tool": ("localhost", "tool", "latest", "", True),
    "localhost": (HUB, "library/localhost", "latest", "", True),
    "localhosts/tool": (HUB, "localhosts/tool", "latest", "", True),
    "localhost:5000/tool": ("localhost:5000", "tool", "latest", "", True),
    "localhost:5000/tool:v1": ("localhost:5000", "tool", "v1", "", False),
    "host:5000": (HUB, "library/host", "5000", "", False),
    "host:5000/a/b": ("host:5000", "a/b", "latest", "", True),
    "quay.io/a/b/c": ("quay.io", "a/b/c", "latest", "", True),
    "quay.io/library/a": ("quay.io", "library/a", "latest", "", True),
    "example.org/tool": ("example.org", "tool", "latest", "", True),
    "a.b": (HUB, "library/a.b", "latest", "", True),
    "Upper/tool": ("Upper", "tool", "latest", "", True),
    "127.0.0.1:5000/a": ("127.0.0.1:5000", "a", "latest", "", True),
    "[fd00::1]:5000/a:t": ("[fd00::1]:5000", "a", "t", "", False),
    "[fd00::1]/a": ("[fd00::1]", "a", "latest", "", True),
    "index.docker.io:443/a": ("index.docker.io:443", "a", "latest", "", True),
    "docker.io:443/a": ("docker.io:443", "a", "latest", "", True),
    "registry-1.docker.io/a": ("registry-1.docker.io", "a", "latest", "", True),
    "hub.docker.com/a": ("hub.docker.com", "a", "latest", "", True),
    "Docker.io/a": ("Docker.io", "a", "latest", "", True),
    "docker.io.example.org/a": ("docker.io.example.org", "a", "latest", "", True),
    "a__b/c--d.e_f:T_.-9": (HUB, "a__b/c--d.e_f", "T_.-9", "", False),
    f"busybox@{DIGEST}": (HUB, "library/busybox", "", DIGEST, False),
    f"busybox:1@{DIGEST}": (HUB, "library/busybox", "1", DIGEST, False),
    f"host:5000/a@{DIGEST}": ("host:5000", "a", "", DIGEST, False),
    f"host:5000/a:latest@sha512:{HEX * 2}": ("host:5000", "a", "latest", f"sha512:{HEX * 2}", False),
    HEX[:63]: (HUB, f"library/{HEX[:63]}", "latest", "", True),
    f"{HEX}:1": (HUB, f"library/{HEX}", "1", "", False),
    f"{HEX}@{DIGEST}": (HUB, f"library/{HEX}", "", DIGEST, False),
    f"a/{HEX}": (HUB, f"a/{HEX}", "latest", "", True),
    f"busybox:{'t' * 128}": (HUB, "library/busybox", "t" * 128, "", False),
}
PARTS = ("domain", "path", "tag", "digest", "name_only")
QUESTIONS = {
    "domain": "From which machine would the image come? What makes the first part a domain, and which colon is "
    "a port's?",
    "path": "Which image is that on Docker Hub, and where does the path end?",
    "tag": "Where does the tag begin, and what is it if none is given?",
    "digest": "What comes after the @?",
    "name_only": "Was there a tag or a digest?",
}


def test_7_1_every_name_has_five_parts(yours: Yours) -> None:
    for text, parts in NAMES.items():
        found = parsed(yours, text)
        expect(
            getattr(found, "kind", "") == "Reference",
            f"parse({text!r}) gives {found!r}; the engine needs a Reference with its five parts.",
        )
        for name, wanted in zip(PARTS, parts, strict=True):
            equal(getattr(found, name), wanted, f"the {name} of {text!r}. {QUESTIONS[name]}")


def parsed(yours: Yours, text: str) -> Any:
    """What parse returns for a text that is a name."""
    answer = yours.answer((text,))
    expect(
        answer.raised is None,
        f"{text!r} is a name, and parse raises\n    {answer.raised}\nWhich parts does it have?",
    )
    return answer.value


def test_7_1_what_is_no_name_is_refused(yours: Yours) -> None:
    for text, why in (
        ("", "An empty name is none."),
        ("busybox:", "The tag is there, and empty: is that the same as no tag?"),
        (f"busybox:@{DIGEST}", "The tag is there, and empty: is that the same as no tag?"),
        ("busybox@", "The digest is there, and empty: is that the same as no digest?"),
        (":1", "There is only a tag."),
        (f"@{DIGEST}", "There is only a digest."),
        ("a:.t", "A tag does not begin with a dot."),
        ("a:" + "t" * 129, "A tag has 128 characters at most."),
        ("a:1:2", "There are two tags."),
        ("host:5000/a:1:2", "There are two tags behind a port."),
        ("a:t\n", "A line end is no part of a tag."),
        ("a\n", "A line end is no part of a path."),
        ("a b", "A blank is no part of a path."),
        ("a//b", "A component of the path is empty."),
        ("/a", "The first component is empty."),
        ("a/", "The last component is empty."),
        ("example.org/", "There is a domain without a path."),
        ("a/../b", "Dots are no component: a path is put into addresses."),
        ("..", "Dots are no component."),
        ("é", "Only a-z and 0-9 are letters and digits here."),
        ("a@sha256:abc", "A digest of sha256 has 64 hex digits."),
        (f"a@sha256:{HEX.upper()}", "The digits of a digest are lower case."),
        (f"a@md5:{HEX[:32]}", "This algorithm is not known."),
        (f"a@{DIGEST}@{DIGEST}", "There are two digests."),
        (f"a@{DIGEST}:1", "A tag comes before the digest."),
        ("-host.io/a", "The domain is no host name."),
        ("host.io:port/a", "The port is no number."),
        ("host.io:65536/a", "No host has this port."),
        ("host:/a", "The port is empty."),
        ("[::1/a", "The bracket of the address is not closed."),
        ("https://host.io/a", "An address of the web is no name."),
        ("user@host.io/a", "Everything behind the @ is a digest."),
        ("host.io/Tool", "A path is lower case."),
        ("tooL:1", "A path is lower case."),
        ("a/Tool", "A path is lower case."),
        (HEX, "64 hex digits are the ID of an image, and nobody can know which of the two is meant."),
    ):
        raised = yours.raises(InvalidArgument, text, about=why)
        expect(
            "invalid reference format" in raised.text and repr(text) in raised.text,
            f"parse({text!r}) raises\n    {raised}\nDocker's words are: invalid reference format. Which "
            "function has "
            "them, and is it given the text as it was typed?",
        )


def test_7_1_an_upper_case_path_gets_a_hint(yours: Yours) -> None:
    for text, path in (("Busybox", "library/Busybox"), ("host.io/a/Tool:1", "a/Tool"), ("a/B", "a/B")):
        raised = yours.raises(InvalidArgument, text, about="A path is lower case.")
        expect(
            f"repository name ({path}) must be lowercase" in raised.text,
            f"parse({text!r}) raises\n    {raised}\nDocker says: repository name ({path}) must be lowercase. "
            "Which path "
            "does `invalid` get from you?",
        )


def test_7_1_a_name_has_at_most_255_characters(yours: Yours) -> None:
    for domain, before, text in (
        ("docker.io", "docker.io/library/", ""),
        ("docker.io", "docker.io/a/", "a/"),
        ("host.io:5000", "host.io:5000/", "host.io:5000/"),
        ("docker.io", "docker.io/library/", "docker.io/"),
        ("docker.io", "docker.io/a/", "index.docker.io/a/"),
    ):
        for end in ("", ":tag", f"@{DIGEST}"):
            longest = "a" * (255 - len(before))
            found = parsed(yours, text + longest + end)
            equal(
                found.domain, domain, f"the domain of a name whose full form has 255 characters, {text!r}…{end!r}"
            )
            yours.raises(
                InvalidArgument,
                f"{text}a{longest}{end}",
                about=f"Its full form {before}aaa… has 256 characters, without what comes after it. What counts?",
            )


def test_7_1_any_name_that_is_put_together_is_taken_apart(yours: Yours) -> None:
    drawn = random.Random(71)
    for _ in range(150):
        domain = drawn.choice(("", "docker.io", "host.io", "localhost", "host:80", "HOST", "[::1]:5"))
        names = [drawn.choice(("a", "b-c", "d__e", "x.y", "localhost", "0")) for _ in range(drawn.randint(1, 3))]
        tag = drawn.choice((None, "1", "latest", "x.y-z", "5000"))
        digest = drawn.choice(("", "", DIGEST))
        if not domain and (len(names) > 1 and ("." in names[0] or names[0] == "localhost")):
            names[0] = "n"
        text = "/".join([*([domain] if domain else []), *names])
        text += "" if tag is None else f":{tag}"
        text += f"@{digest}" if digest else ""
        where = domain or HUB
        path = "/".join(["library", *names] if where == HUB and len(names) == 1 else names)
        whole = (where, path, ("" if digest else "latest") if tag is None else tag, digest)
        found = parsed(yours, text)
        equal(
            tuple(getattr(found, part) for part in PARTS),
            (*whole, tag is None and not digest),
            f"domain, path, tag, digest, name_only of {text!r}",
        )


def test_7_1_the_engine_pulls_by_it(pyctr: Any, shelf: registry.Registry) -> None:
    pyctr("pull", f"{shelf.host}/app:1")
    said = pyctr("images", "--format", "{{.Repository}} {{.Tag}}").stdout
    expect(
        f"{shelf.host}/app 1\n" in said,
        f"the engine has pulled {shelf.host}/app:1, and lists\n    {said}\nunder which name is it kept?",
    )
    pyctr("rmi", f"{shelf.host}/app:1")


# --- 7.2 -------------------------------------------------------------------------------------------------

SCOPE = "repository:app:pull,push"
ANN = Credential("ann", "s3cret:with a colon & more")
SERVER = "https://auth.example/token"
WITH_ANN = [("account", "ann"), ("client_id", "pyctr_lite"), ("offline_token", "true")]


class Request:
    """What token_request gives for a challenge."""

    def __init__(
        self,
        yours: Yours,
        challenge: dict[str, str],
        credential: Credential | None = None,
        scopes: tuple[str, ...] = (SCOPE,),
        base: str = "https://registry.example",
    ) -> None:
        self.call = f"token_request({challenge}, {base!r}, {list(scopes)}, {'ann' if credential else None})"
        answer = yours.answer((challenge, base, list(scopes), credential))
        expect(
            answer.raised is None,
            f"{self.call} raises\n    {answer.raised}\nThis realm may be asked: by https, on this machine, "
            "without a credential, or by http as the registry itself. What is in a challenge for sure?",
        )
        found = answer.value
        expect(
            isinstance(found, tuple)
            and len(found) == 2
            and isinstance(found[0], str)
            and isinstance(found[1], dict),
            f"{self.call} gives {found!r}; wanted are an address and the headers, as a pair.",
        )
        self.address, self.headers = found
        self.parts = urlsplit(self.address)
        self.fields = sorted(parse_qsl(self.parts.query, keep_blank_values=True))

    def has(self, where: str, fields: list[tuple[str, str]], about: str) -> None:
        equal(
            self.parts._replace(query="", fragment="").geturl(),
            where,
            f"the address without its query, of\n    {self.call}",
        )
        equal(
            self.fields,
            sorted(fields),
            f"the fields of the query {self.parts.query!r}, sorted, of\n    {self.call}\n{about}",
        )


def test_7_2_service_and_scope_are_asked_for(yours: Yours) -> None:
    odd = "a b&c=d?e#f/ü+%"
    for challenge, scopes, fields in (
        ({"service": "registry.example"}, (SCOPE,), [("service", "registry.example"), ("scope", SCOPE)]),
        ({}, (SCOPE,), [("scope", SCOPE)]),
        ({"service": ""}, (SCOPE,), [("scope", SCOPE)]),
        ({"service": odd}, (SCOPE, odd), [("service", odd), ("scope", SCOPE), ("scope", odd)]),
        (
            {"service": "r", "scope": "repository:other:push"},
            (SCOPE, "repository:base:pull"),
            [("service", "r"), ("scope", SCOPE), ("scope", "repository:base:pull")],
        ),
        ({"service": "r", "error": "invalid_token"}, (), [("service", "r")]),
    ):
        asked = Request(yours, {"realm": SERVER, **challenge}, scopes=scopes)
        asked.has(
            SERVER, fields, "Each scope that the engine wants is a field of its own; which does the challenge add?"
        )
        equal(asked.headers, {}, f"the headers of {asked.call}: who asks, if there is no credential?")


def test_7_2_an_address_without_fields_ends_as_it_is(yours: Yours) -> None:
    odd = f"{SERVER};v=1?a=b/c+d&flag&&x=%7E"
    for realm, wanted in (
        (SERVER, SERVER),
        (f"{SERVER}?a=b", f"{SERVER}?a=b"),
        (f"{SERVER}#part", SERVER),
        (odd, odd),
    ):
        asked = Request(yours, {"realm": realm}, scopes=())
        equal(asked.address, wanted, f"the address of {asked.call}: nothing is to be added")


def test_7_2_the_realm_is_an_address_of_any_form(yours: Yours) -> None:
    for realm, where, more in (
        (f"{SERVER}?tenant=a%26b&x=", SERVER, [("tenant", "a&b"), ("x", "")]),
        ("/token", "https://registry.example/token", []),
        ("token", "https://registry.example/token", []),
        ("/token?a=1", "https://registry.example/token", [("a", "1")]),
        ("//auth.example:8443/t", "https://auth.example:8443/t", []),
        (f"{SERVER}#part", SERVER, []),
        (f"{SERVER}?a=1#part", SERVER, [("a", "1")]),
        ("https://[fd00::1]:5001/token", "https://[fd00::1]:5001/token", []),
        (f"{SERVER};v=1/x;y?a=1", f"{SERVER};v=1/x;y", [("a", "1")]),
        ("HTTPS://auth.example/token", "https://auth.example/token", []),
    ):
        for credential, fields in ((None, []), (ANN, WITH_ANN)):
            asked = Request(yours, {"realm": realm, "service": "r"}, credential)
            about = f"The realm is {realm!r}. What stays of it, and where do the fields go?"
            asked.has(where, [*more, *fields, ("service", "r"), ("scope", SCOPE)], about)
            expect(
                "#" not in asked.address, f"{asked.call} gives\n    {asked.address}\nA part after # is never sent."
            )


def test_7_2_the_password_is_in_the_header_and_nowhere_else(yours: Yours) -> None:
    for user, password in (
        ("ann", ANN.password),
        ("b&b=c", "geheim"),
        ("", "only-a-token"),
        ("ünal", "pässword"),
        ("ann", ""),
    ):
        credential = Credential(user, password)
        asked = Request(yours, {"realm": SERVER, "service": "r"}, credential)
        equal(
            asked.headers,
            {"Authorization": basic(user, password)},
            f"the headers for the user {user!r} with the password {password!r}",
        )
        forms = (password, quote(password), quote(password, safe="")) if password else ()
        for form in (*forms, basic(user, password)[6:]):
            expect(
                form not in asked.address,
                f"the address is\n    {asked.address}\nand has the password {password!r} in it. Who keeps "
                "addresses, "
                "and who reads them?",
            )
        fields = [("account", user), *WITH_ANN[1:], ("service", "r"), ("scope", SCOPE)]
        asked.has(SERVER, fields, "With a credential three fields more are asked for.")


SAFE = (
    ("https://auth.example/", "https://registry.example"),
    ("https://auth.example/", "http://registry.example"),
    ("http://127.0.0.1:5001/token", "https://registry.example"),
    ("http://localhost/token", "https://registry.example"),
    ("http://LOCALHOST:80/token", "https://registry.example"),
    ("http://[::1]:5001/token", "https://registry.example"),
    ("http://auth.example/token", "http://registry.example:5000"),
    ("/token", "http://registry.example:5000"),
)
UNSAFE = (
    ("http://auth.example/token", "its scheme is http"),
    ("HTTP://auth.example/token", "its scheme is http, in upper case"),
    ("http://registry.example/token", "the registry is reached by https, and its token server is not"),
    ("http://10.0.0.1/token", "10.0.0.1 is another machine of this network"),
    ("http://auth.local/token", "auth.local is another machine of this network"),
    ("http://auth.localhost.example/token", "localhost is only a part of this host's name"),
    ("http://localhost.example/token", "localhost is only a part of this host's name"),
    ("http://127.0.0.1.example/token", "127.0.0.1 is only a part of this host's name"),
    ("http://auth.example/localhost", "localhost is in the path"),
    ("http://localhost@auth.example/token", "localhost is a user's name here: the host is auth.example"),
    (
        "http://localhost:80@auth.example/token",
        "localhost:80 is a user and a password here: the host is auth.example",
    ),
    ("http://auth.example/?https://", "https is in the query"),
    ("http://0.0.0.0/token", "0.0.0.0 is no machine's address"),
    ("http://[::]/token", ":: is no machine's address"),
    ("http://[::1:2]/token", "::1:2 is another machine, ::1 is this one"),
    ("http://[fd00::1]/token", "fd00::1 is another machine of this network"),
    ("http://[fe80::1]/token", "fe80::1 is another machine of this network"),
)
NEVER = (
    "ftp://localhost/token",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "ws://127.0.0.1/",
    "httpss://a/",
)


def test_7_2_a_password_goes_by_tls_or_stays_here(yours: Yours) -> None:
    for realm, base in SAFE:
        asked = Request(yours, {"realm": realm}, ANN, base=base)
        expect(asked.headers, f"{asked.call} gives no headers: this token server may have the password.")
    for realm, why in UNSAFE:
        try_(yours, realm, ANN, f"The password would go over the wire as it is: {why}.")
        expect(
            Request(yours, {"realm": realm}).headers == {},
            f"without a credential {realm} may be asked, and without a header.",
        )


def test_7_2_this_machine_has_many_addresses(yours: Yours) -> None:
    for host in ("127.9.8.7:5001", "127.255.255.254"):
        asked = Request(yours, {"realm": f"http://{host}/token"}, ANN)
        expect(asked.headers, f"{asked.call} gives no headers: all of 127.0.0.0/8 is this machine.")


def test_7_2_only_http_is_spoken(yours: Yours) -> None:
    for realm in NEVER:
        for credential in (None, ANN):
            try_(yours, realm, credential, f"The realm is {realm}: that is neither https nor http.")


def try_(yours: Yours, realm: str, credential: Credential | None, about: str) -> None:
    """The realm has to be refused, by a message that says which it is and does not have the password."""
    args = ({"realm": realm, "service": "r"}, "https://registry.example", [SCOPE], credential)
    raised = yours.raises(PyctrError, *args, about=about)
    expect(
        ANN.password not in raised.text and basic(*ANN[:2])[6:] not in raised.text,
        f"the message has the password in it:\n    {raised.text}",
    )


def test_7_2_the_engine_gets_its_token_by_it(pyctr: Any, shelf: registry.Registry) -> None:
    with registry.with_tokens(shelf) as (host, asked):
        pyctr("pull", f"{host}/app:1")
        said = json.loads(line_of(asked))
        scope = ["scope", "repository:app:pull"]
        equal(
            [sorted(said["query"]), said["authorization"]],
            [[scope, ["service", token_server.SERVICE]], None],
            "what the token server is asked by a pull without a credential: the fields, and the header",
        )
        pyctr("login", "-u", "ann", "-p", "secret", host)
        line_of(asked)
        pyctr("rmi", f"{host}/app:1")
        pyctr("pull", f"{host}/app:1")
        said = json.loads(line_of(asked))
        pyctr("rmi", f"{host}/app:1")
        wanted = [["account", "ann"], ["client_id", "pyctr_lite"], ["offline_token", "true"], scope]
        equal(
            [sorted(said["query"]), said["authorization"]],
            [[*wanted, ["service", token_server.SERVICE]], basic("ann", "secret")],
            "what the token server is asked by a pull after a login: the fields, and the header",
        )


def line_of(file: Any) -> str:
    """The next line of a server's output."""
    ready, _, _ = select.select([file], [], [], 10 * SLOWNESS)
    expect(
        ready, "the engine has pulled, and nobody asked the token server: which address does your request have?"
    )
    return str(file.readline())


# --- 7.3 -------------------------------------------------------------------------------------------------


def some_bytes(count: int, seed: int = 73) -> bytes:
    return random.Random(seed).randbytes(count)


class Blob:
    """A blob that a registry promises, an empty state directory, and what comes of receiving it."""

    def __init__(
        self, yours: Yours, directory: Path, data: bytes, size: int | None = None, digest: str = ""
    ) -> None:
        self.yours, self.directory, self.data = yours, directory, data
        self.digest = digest or registry.digest_of(data)
        self.size = len(data) if size is None else size
        self.begun = directory / "partial" / self.digest.replace(":", "-")
        self.shared = False
        self.begun.parent.mkdir(parents=True)

    def receive(
        self, *bodies: list[bytes] | tuple[list[bytes], BaseException], failing: str = "", nth: int = 1
    ) -> list[dict[str, Any]]:
        given = [body if isinstance(body, tuple) else (body, None) for body in bodies]
        found: list[dict[str, Any]] = self.yours.scene(
            "received", str(self.directory), self.digest, self.size, given, failing, nth
        )
        for call in found:
            call["raised"] = Raised(**call["raised"]) if call["raised"] else None
            if not call["raised"]:
                equal(call["value"], None, "what receive returns")
            self.shared = call["shared"]
        return found

    def is_kept(self, data: bytes, when: str) -> None:
        """The bytes so far are in the file."""
        expect(
            self.begun.exists(),
            f"{when}, and the file is gone: how would the next request go on from there? Nothing was wrong.",
        )
        found = self.begun.read_bytes()
        expect(
            found == data, f"{when}: {len(found)} bytes are in the file, and wanted are the {len(data)} that came."
        )
        expect(not self.shared, f"{when}, and the file is shared as if it was complete.")

    def is_whole(self, when: str) -> None:
        """The file has the whole blob, and is shared."""
        expect(self.shared, f"{when}, and the file is not shared: how do other pulls know that it is complete?")
        there = self.begun.read_bytes() if self.begun.exists() else b""
        expect(there == self.data, f"{when}, and the file has {len(there)} bytes, and not those of the blob.")

    def is_gone(self, when: str) -> None:
        """The file is removed, and nobody was told that it is complete."""
        expect(not self.shared, f"{when}, and the file is shared: what comes first, the check or that?")
        expect(
            not self.begun.exists(),
            f"{when}, and its file is still there: the next pull would go on with these bytes. Who removes it?",
        )

    def lie(self, calls: list[dict[str, Any]], about: str) -> str:
        """The last call has to refuse the blob, by its name. Returns what it says was found."""
        raised = calls[-1]["raised"]
        wanted = f"It should raise BrokenArchive. {about}"
        expect(raised is not None, f"receive returns as if nothing was wrong. {wanted}")
        expect(raised.is_a(BrokenArchive), f"receive raises\n    {raised}\n{wanted}")
        said = re.fullmatch(
            rf"blob {self.digest} failed verification: (.+), not ({self.size}|{self.digest})", raised.text
        )
        expect(
            said,
            f"receive raises\n    {raised}\nWhich blob was it, of the forty of a pull, what was found, and "
            "what was "
            "promised? `blob.lie` has the words.",
        )
        return said[1] if said else ""


def pieces_of(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_7_3_the_whole_blob_is_shared(yours: Yours, tmp_path: Path) -> None:
    for number, (size, piece) in enumerate(
        ((1, 1), (10, 3), (1000, 1000), (1000, 999), (CHUNK + 1, CHUNK), (3 * CHUNK, CHUNK), (5000, 1250))
    ):
        blob = Blob(yours, tmp_path / str(number), some_bytes(size))
        [call] = blob.receive(pieces_of(blob.data, piece))
        when = f"{size} bytes have come, in pieces of {piece}"
        expect(call["raised"] is None, f"{when}, all of them right, and receive raises\n    {call['raised']}")
        blob.is_whole(when)
        equal(set(call["sizes"]), {CHUNK}, "how many bytes `body.read1` is asked for at once")


def test_7_3_each_piece_is_hashed_as_it_comes(yours: Yours, tmp_path: Path) -> None:
    blob = Blob(yours, tmp_path / "a", some_bytes(1000))
    [call] = blob.receive(pieces_of(blob.data, 300))
    equal(
        call["seen"],
        [[0, 0], [300, 300], [600, 600], [900, 900], [1000, 1000]],
        "at each read of the body: the bytes that are in the file, and those of them that are hashed. A layer of "
        "10 GB that is hashed at the end is read twice. Whose are yours?",
    )


def test_7_3_a_reader_gets_the_last_byte_after_the_check(yours: Yours, tmp_path: Path) -> None:
    for number, (size, piece, wanted) in enumerate(
        (
            (1000, 300, [300, 600, 900, 999, 1000]),
            (1000, 999, [999, 999, 1000]),
            (1000, 1000, [999, 1000]),
            (1, 1, [0, 1]),
        )
    ):
        blob = Blob(yours, tmp_path / str(number), some_bytes(size))
        [call] = blob.receive(pieces_of(blob.data, piece))
        equal(
            call["reports"],
            [[done, done == size] for done in wanted],
            f"what `report` is called with, and whether the file is shared by then: {size} bytes come in "
            "pieces of "
            f"{piece}. What may a reader have before the digest is checked?",
        )
        for (done, _), there in zip(call["reports"], call["in_file"], strict=True):
            expect(
                there >= done,
                f"`report` is called with {done} when {there} bytes are in the file: what would a reader read?",
            )


def test_7_3_a_body_that_ends_early_is_no_lie(yours: Yours, tmp_path: Path) -> None:
    data = some_bytes(1000)
    for number, came in enumerate((0, 1, 500, 999)):
        blob = Blob(yours, tmp_path / str(number), data)
        blob.begun.touch()
        [call] = blob.receive(pieces_of(data[:came], 250))
        when = f"the body has ended after {came} of 1000 bytes"
        expect(call["raised"] is None, f"{when}, and receive raises\n    {call['raised']}\nIs a cut a lie?")
        equal([done for done, _ in call["reports"]][-1:], [came] if came else [], f"{when}: the last report")
        if came:
            blob.is_kept(data[:came], when)
        calls = blob.receive(pieces_of(data[came:700], 400), pieces_of(data[max(came, 700) :], 100))
        raised = calls[-1]["raised"]
        expect(
            raised is None,
            f"{when}, two more requests bring the rest, and receive raises\n    {raised}\nWhich bytes does your "
            "digest have, and how often?",
        )
        blob.is_whole(f"{when}, and then the rest has come")


def test_7_3_what_an_earlier_pull_has_left_is_hashed_too(yours: Yours, tmp_path: Path) -> None:
    data = some_bytes(2000)
    for number, (left, body) in enumerate(((1000, [data[1000:]]), (1999, [data[1999:]]), (2000, []))):
        blob = Blob(yours, tmp_path / str(number), data)
        blob.begun.write_bytes(data[:left])
        [call] = blob.receive(body)
        when = f"a pull that was killed has left {left} of 2000 bytes, and the other {2000 - left} have come"
        expect(call["raised"] is None, f"{when}, all right, and receive raises\n    {call['raised']}")
        blob.is_whole(when)
        equal(call["reports"][-1:], [[2000, True]], f"{when}: the last report")
        equal(
            call["seen"][0],
            [left, left],
            f"{when}: the bytes in the file at the first read of the body, and those of them that are hashed",
        )
        blob = Blob(yours, tmp_path / f"{number} wrong", data)
        blob.begun.write_bytes(b"!" + data[1:left])
        blob.lie(blob.receive(body), "The first byte in the file, of an earlier pull, is another one.")
        blob.is_gone("the first byte in the file, of an earlier pull, is another one")


def test_7_3_one_wrong_byte_is_found_wherever_it_is(yours: Yours, tmp_path: Path) -> None:
    data = some_bytes(1000)
    for at in (0, 1, 499, 998, 999):
        blob = Blob(yours, tmp_path / str(at), data)
        wrong = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        calls = blob.receive(pieces_of(wrong, 400))
        blob.lie(calls, f"One bit of byte {at} of 1000 is another one.")
        blob.is_gone(f"one bit of byte {at} of 1000 is another one")
        done = [done for done, _ in calls[-1]["reports"]]
        expect(
            1000 not in done, f"one bit of byte {at} is wrong, and {done} were reported: a reader has all of it."
        )


def test_7_3_every_digit_of_the_digest_counts(yours: Yours, tmp_path: Path) -> None:
    data = some_bytes(1000)
    digest = registry.digest_of(data)
    for at in (len("sha256:"), len("sha256:") + 12, len(digest) - 1):
        other = digest[:at] + ("0" if digest[at] != "0" else "1") + digest[at + 1 :]
        blob = Blob(yours, tmp_path / str(at), data, digest=other)
        found = blob.lie(blob.receive([data]), f"Promised is\n    {other}\nand the bytes have\n    {digest}")
        expect(
            digest.partition(":")[2] in found,
            f"receive says that the blob is {found!r}, and its bytes have the digest\n    {digest}\nWhoever "
            "looks for "
            "the cause wants to know both.",
        )
        blob.is_gone("one digit of the digest is another one")


def test_7_3_more_bytes_than_promised_are_refused(yours: Yours, tmp_path: Path) -> None:
    data = some_bytes(1000)
    for number, (pieces, why) in enumerate(
        (
            ([data + b"x"], "1001 bytes come at once, the first 1000 of them right"),
            ([data, b"x"], "1000 right bytes are followed by one more"),
            ([data[:999], data[999:] + b"xyz"], "1003 bytes come in two pieces"),
            ([data[:500], data], "1500 bytes come in two pieces"),
            ([data[:600], *[some_bytes(CHUNK)] * 40], "10 MiB more come, and the registry does not stop"),
        )
    ):
        blob = Blob(yours, tmp_path / str(number), data)
        calls = blob.receive(pieces)
        blob.lie(calls, f"1000 bytes were promised, and {why}.")
        blob.is_gone(f"1000 bytes were promised, and {why}")
        most = calls[-1]["written"]
        expect(
            most <= 1000, f"1000 bytes were promised, and {most} are written: how full may a registry make a disk?"
        )
        equal(calls[-1]["left"], max(0, len(pieces) - 2), f"{why}: the pieces that were not read any more")
        done = [done for done, _ in calls[-1]["reports"]]
        expect(1000 not in done, f"{why}, and {done} were reported: a reader has all of it.")


def test_7_3_a_blob_may_be_empty(yours: Yours, tmp_path: Path) -> None:
    blob = Blob(yours, tmp_path / "a", b"")
    [call] = blob.receive([])
    expect(call["raised"] is None, f"an empty blob has come, and receive raises\n    {call['raised']}")
    blob.is_whole("an empty blob has come")
    equal(call["reports"], [[0, True]], "the reports of an empty blob, and whether its file is shared by then")
    promised = Blob(yours, tmp_path / "b", b"x", size=0)
    promised.lie(promised.receive([]), "An empty blob is promised, and its digest is that of another one.")


def test_7_3_an_error_of_the_connection_is_the_callers(yours: Yours, tmp_path: Path) -> None:
    data = some_bytes(1000)
    for number, error in enumerate(
        (ConnectionResetError(errno.ECONNRESET, "reset"), TimeoutError("slow"), OSError("cut"), ValueError("odd"))
    ):
        blob = Blob(yours, tmp_path / str(number), data)
        [call] = blob.receive((pieces_of(data[:600], 200), error))
        when = f"after 600 bytes `read1` raises {type(error).__name__}"
        raised = call["raised"]
        expect(
            raised is not None and raised.name == type(error).__name__,
            f"{when}, and receive {f'raises {raised}' if raised else 'returns'}: who decides what to do about it?",
        )
        blob.is_kept(data[:600], when)


def test_7_3_what_fails_on_this_machine_is_raised(yours: Yours, tmp_path: Path) -> None:
    data = some_bytes(1000)
    halves, long, wrong = [data[:500], data[500:]], [data, b"!"], [data[:-1] + b"!"]
    for number, (failing, nth, pieces) in enumerate(
        (
            *(("write", nth, halves) for nth in (1, 2)),
            *(("catch_up", nth, halves) for nth in (1, 2)),
            *(("report", nth, halves) for nth in (1, 2, 3)),
            ("share", 1, halves),
            ("remove", 1, wrong),
            ("remove", 1, long),
        )
    ):
        blob = Blob(yours, tmp_path / str(number), data)
        [call] = blob.receive(pieces, failing=failing, nth=nth)
        raised = call["raised"]
        expect(
            not call["failed"] or (raised is not None and raised.errno == errno.ENOSPC),
            f"call {nth} of {'self.' * (failing != 'report')}{failing} fails with ENOSPC, and receive "
            f"{f'raises {raised}' if raised else 'returns as if nothing had happened'}.",
        )


def test_7_3_the_engine_pulls_by_it(pyctr: Any, shelf: registry.Registry) -> None:
    data = registry.layer()
    file = shelf.stored(data)
    for wrong, why in (
        (b"!" + data[1:], "one byte of the layer is another one"),
        (data + b"!", "a byte is added"),
    ):
        file.write_bytes(wrong)
        try:
            done = pyctr("pull", f"{shelf.host}/app:1", check=False)
        finally:
            file.write_bytes(data)
        name = registry.digest_of(data)
        expect(
            done.returncode and name in done.stderr and "failed verification" in done.stderr,
            f"in the registry's own file {why}, and pull ends with {done.returncode}:\n    {done.stderr.strip()}\n"
            f"It should refuse the blob {name[:19]}… by its name.",
        )
        left = os.listdir(pyctr.root / "partial")
        equal(left, [], f"in the registry's file {why}: what is left of the download")
    pyctr("pull", f"{shelf.host}/app:1")


# --- 7.4 -------------------------------------------------------------------------------------------------

FILE, DIRECTORY, LINK = stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK


def status(mode: int, uid: int = 0, gid: int = 0, device: int = 0, **more: int) -> os.stat_result:
    """The status of an inode, as os.stat returns it."""
    first = [mode, more.get("ino", 7), more.get("dev", 8), more.get("nlink", 1), uid, gid, more.get("size", 5)]
    times = [more.get(name, 1_700_000_000) for name in ("atime", "mtime", "ctime")]
    named = {"st_rdev": device, "st_blksize": more.get("blksize", 4096), "st_blocks": more.get("blocks", 8)}
    named |= {
        f"st_{name}_ns": value * 10**9 for name, value in zip(("atime", "mtime", "ctime"), times, strict=True)
    }
    return os.stat_result([*first, *times, *times, *named.values()][:10], named)


def key(
    yours: Yours,
    path: str = "a",
    status_: os.stat_result | None = None,
    content: str = "c0ffee",
    xattrs: dict[str, bytes] | None = None,
    *,
    owners: bool = False,
) -> bytes:
    given = status(FILE | 0o644) if status_ is None else status_
    found = yours(path, given, os.fsencode(content), xattrs or {}, owners=owners)
    expect(isinstance(found, bytes), f"part_of_key gives {found!r}; a hash takes bytes.")
    assert isinstance(found, bytes)
    return found


def test_7_4_no_time_and_no_place_counts(yours: Yours) -> None:
    for owners in (False, True):
        before = key(yours, owners=owners)
        for more, what in (
            ({"mtime": 5}, "the time of the last change (touch, or git clone)"),
            ({"atime": 5}, "the time of the last access"),
            ({"ctime": 5}, "the time of the last change of the inode"),
            ({"ino": 99}, "the number of the inode"),
            ({"dev": 99}, "the file system"),
            ({"nlink": 3}, "the number of names"),
            ({"size": 99}, "the size, which the digest of the content has in it"),
            ({"blocks": 99, "blksize": 512}, "the blocks on the disk"),
            ({"device": 99}, "st_rdev, which means something for devices only"),
        ):
            same = key(yours, status_=status(FILE | 0o644, **more), owners=owners)
            expect(
                same == before,
                f"of a file {what} is another one, and nothing else, and the bytes are\n    {same!r}\nwhich were\n"
                f"    {before!r}\nWhy would COPY have to run again?",
            )
        small = key(yours, status_=status(DIRECTORY | 0o755, size=40), content="")
        large = key(yours, status_=status(DIRECTORY | 0o755, size=4096), content="")
        expect(small == large, "a directory's size is that of its list, which is the file system's own business.")


def test_7_4_everything_that_is_copied_counts(yours: Yours) -> None:
    changes: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("the path", {}, {"path": "b"}),
        *(
            (f"the path (a, and {path!r})", {}, {"path": path})
            for path in ("./a", "a/", "A", "a ", " a", "b/../a")
        ),
        ("the content", {}, {"content": "decade"}),
        *(
            (f"the permission bit {bit:#o}", {}, {"status_": status(FILE | (0o644 ^ bit))})
            for bit in (1 << shift for shift in range(12))
        ),
        *(
            (f"the type ({mode:#o})", {"content": ""}, {"content": "", "status_": status(mode | 0o644)})
            for mode in (DIRECTORY, LINK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK)
        ),
        (
            "the target of a link",
            {"status_": status(LINK | 0o777), "content": "x"},
            {"status_": status(LINK | 0o777), "content": "y"},
        ),
        *(
            (
                "the number of a device",
                {"status_": status(mode | 0o600, device=259), "content": ""},
                {"status_": status(mode | 0o600, device=260), "content": ""},
            )
            for mode in (stat.S_IFCHR, stat.S_IFBLK)
        ),
        *(
            (
                "the number of a device, in its upper bits",
                {"status_": status(mode, device=one)},
                {"status_": status(mode, device=two)},
            )
            for mode in (stat.S_IFCHR, stat.S_IFBLK)
            for one, two in (
                (os.makedev(8, 1), os.makedev(8, 1 << 16 | 1)),
                (os.makedev(1, 1), os.makedev(1 << 12 | 1, 1)),
            )
        ),
        ("an attribute", {}, {"xattrs": {"user.a": b""}}),
        *(
            (f"the attribute {name}", {}, {"xattrs": {name: b"x"}})
            for name in ("security.capability", "security.ima", "trusted.a", "system.posix_acl_access")
        ),
        ("an attribute's value", {"xattrs": {"user.a": b"1"}}, {"xattrs": {"user.a": b"2"}}),
        ("an attribute's name", {"xattrs": {"user.a": b"1"}}, {"xattrs": {"user.b": b"1"}}),
        ("an attribute's name in upper case", {"xattrs": {"user.a": b"1"}}, {"xattrs": {"user.A": b"1"}}),
        ("a second attribute", {"xattrs": {"user.a": b"1"}}, {"xattrs": {"user.a": b"1", "user.b": b"1"}}),
    ]
    for what, before, after in changes:
        first, second = key(yours, **before), key(yours, **after)
        expect(
            first != second,
            f"{what} is another one, and both give\n    {first!r}\nSo the old layer would be used. Does it count?",
        )


def test_7_4_owners_count_if_they_are_copied(yours: Yours) -> None:
    root = status(FILE | 0o644)
    for uid, gid in ((1000, 0), (0, 1000), (1000, 1000), (1 << 16, 0), (0, 1 << 31)):
        other = status(FILE | 0o644, uid, gid)
        expect(
            key(yours, status_=root) == key(yours, status_=other),
            f"`owners` is false, because the copy will be root's, and {uid}:{gid} gives other bytes than 0:0. "
            "On the "
            "next machine somebody else has cloned the files.",
        )
        expect(
            key(yours, status_=root, owners=True) != key(yours, status_=other, owners=True),
            f"`owners` is true, and {uid}:{gid} gives the same bytes as 0:0.",
        )
    for one, two in (((1, 11), (11, 1)), ((12, 3), (1, 23))):
        pair = [key(yours, status_=status(FILE | 0o644, *ids), owners=True) for ids in (one, two)]
        expect(pair[0] != pair[1], f"the owners {one} and {two} both give\n    {pair[0]!r}\nWhere does one end?")


def test_7_4_attributes_have_no_order(yours: Yours) -> None:
    one = {"user.b": b"2", "security.capability": b"\1\0\0", "user.a": b"1"}
    expect(
        key(yours, xattrs=one) == key(yours, xattrs=dict(reversed(one.items()))),
        "the same attributes in another order give other bytes: whose order is it?",
    )


def test_7_4_equal_entries_of_other_objects_are_one(yours: Yours) -> None:
    name = "user.name"
    other = "".join(list(name))
    value = os.fsencode(name)
    found = [
        key(yours, name, content=name, xattrs={name: value}),
        key(yours, name, content=name, xattrs={other: bytes(bytearray(value))}),
    ]
    expect(
        found[0] == found[1],
        f"the path {name!r} has an attribute of the same name. If both are one object of Python, the bytes are\n"
        f"    {found[0]!r}\nand if they are two, these are\n    {found[1]!r}\nThe next build has other objects. "
        "What writes down which is which?",
    )


def test_7_4_no_two_entries_look_alike(yours: Yours) -> None:
    file, mode = status(FILE | 0o644), f"{FILE | 0o644:o}"
    for first, second in (
        ({"path": "ab", "content": "c"}, {"path": "a", "content": "bc"}),
        ({"path": "a", "content": ""}, {"path": "", "content": "a"}),
        ({"path": "a\n", "content": "b"}, {"path": "a", "content": "\nb"}),
        ({"path": "a b", "content": "c"}, {"path": "a", "content": "b c"}),
        ({"path": "a,b", "content": "c"}, {"path": "a", "content": "b,c"}),
        ({"path": f"a{mode}", "content": ""}, {"path": "a", "content": mode}),
        ({"xattrs": {"user.ab": b"c"}}, {"xattrs": {"user.a": b"bc"}}),
        ({"xattrs": {"user.a": b"1", "user.b": b"2"}}, {"xattrs": {"user.a": b"1user.b2"}}),
        ({"xattrs": {"user.a": b"1", "user.b": b"2"}}, {"xattrs": {"user.a": b"1\0user.b\x002"}}),
        ({"xattrs": {"user.a": b"1", "user.b": b"2"}}, {"xattrs": {"user.a": b"1\0user.b\x001\x002"}}),
        ({"xattrs": {"user.a": b"\0"}}, {"xattrs": {"user.a": b"\0\0"}}),
        ({"content": "x", "xattrs": {"user.a": b"1"}}, {"content": "xuser.a1"}),
        ({"content": "\0"}, {"content": "\0\0"}),
        ({"content": "x", "xattrs": {"user.a": b"1\0"}}, {"content": "x\0user.a\x002\x001"}),
        ({"content": "x", "xattrs": {"user.a": b"1"}}, {"content": "xuser.a\x001\x001"}),
        ({"content": "x", "xattrs": {"user.a": b"1"}}, {"content": "x\0user.a\x001\x001"}),
    ):
        one, two = (key(yours, status_=file, **entry) for entry in (first, second))
        expect(
            one != two,
            f"{first} and {second} both give\n    {one!r}\nHow does a reader know where a part ends? Which "
            "byte is in no "
            "path, and what about a digest or a value, which may have any?",
        )


def test_7_4_the_bytes_are_enough_to_tell_entries_apart(yours: Yours) -> None:
    found = key(yours)
    expect(
        len(found) >= 16,
        f"part_of_key gives {len(found)} bytes, {found!r}: of all the files that there are many would have the "
        "same, and two of them are easily found. What does the key need of an entry?",
    )


def test_7_4_what_is_between_the_parts_can_be_in_none(yours: Yours) -> None:
    """Put what stands between path and content into both of them."""
    found = key(yours, "PATH", content="CONTENT")
    path, content = found.find(b"PATH"), found.find(b"CONTENT")
    if path < 0 or content < 0:
        return  # they are written in another way
    first, second = sorted(((path, path + 4), (content, content + 7)))
    between = found[first[1] : second[0]]
    if b"\0" in between or not between.isascii():
        return
    text = between.decode()
    one, two = (f"a{text}b", "c"), ("a", f"b{text}c")
    one, two = (one, two) if path < content else (("c", f"a{text}b"), (f"b{text}c", "a"))
    keys = [key(yours, where, content=what) for where, what in (one, two)]
    expect(
        keys[0] != keys[1],
        f"the file {one[0]!r} with the content {one[1]!r} and the file {two[0]!r} with {two[1]!r} both give\n"
        f"    {keys[0]!r}\nbecause {text!r} is between path and content, and can be in both. Which byte cannot?",
    )


def test_7_4_entries_can_follow_each_other(yours: Yours) -> None:
    """A value that looks like the entries behind it must not be taken for them."""
    second = key(yours, "b")
    with_value = key(yours, xattrs={"user.a": second})
    plain = key(yours) + second
    expect(
        with_value != plain and key(yours, xattrs={"user.a": b""}) + second != with_value,
        f"one file with an attribute gives the same bytes as two files:\n    {plain!r}",
    )
    # A value whose length, 10000, is also the mode of a fifo, and whose bytes are those of two more entries.
    fifo = key(yours, "user.a", status(stat.S_IFIFO), content="")
    rest = fifo.partition(b"10000\0")[2]
    link = partial(key, yours, "z", status(LINK | 0o777))
    target = "t" * (10000 - len(rest) - len(link("")))
    three = key(yours) + fifo + link(target)
    expect(
        key(yours, xattrs={"user.a": rest + link(target)}) != three,
        "a file with the attribute user.a, whose value has 10000 bytes, gives the bytes of three entries: the "
        "file, a fifo called user.a, and a link. What says how many attributes an entry has?",
    )


def test_7_4_any_name_will_do(yours: Yours) -> None:
    odd = os.fsdecode(b"\xff\xfe")
    found = [
        key(yours, path) for path in ("\xfc", "u\u0308", odd, "new\nline", "", r"\udcff", r"\xff", "&#56575;")
    ]
    found += [key(yours, os.fsdecode(name)) for name in (b"\xff", b"\xfe", b"?", b"??")]
    found += [key(yours, content=odd, status_=status(LINK | 0o777)), key(yours, xattrs={f"user.{odd}": b"\xff"})]
    expect(
        len(set(found)) == len(found), f"of {len(found)} odd entries two give the same bytes:\n    {sorted(found)}"
    )


def test_7_4_any_entries(yours: Yours) -> None:
    drawn = random.Random(74)
    known: dict[Any, bytes] = {}
    for _ in range(150):
        path, content = (drawn.choice(("", "a", "b", "ab", "a/b")) for _ in range(2))
        mode = drawn.choice((FILE, DIRECTORY, LINK, stat.S_IFCHR)) | drawn.choice((0o644, 0o755))
        uid, gid, device = (drawn.choice((0, 1, 11)) for _ in range(3))
        xattrs = {
            f"user.{drawn.choice('ab')}": drawn.choice((b"", b"a", b"ab")) for _ in range(drawn.randrange(3))
        }
        owners = drawn.random() < 0.5
        found = key(yours, path, status(mode, uid, gid, device), content, xattrs, owners=owners)
        what = (path, content, mode, (uid, gid) if owners else None, device if stat.S_ISCHR(mode) else None)
        known.setdefault((*what, tuple(sorted(xattrs.items()))), found)
        equal(
            found, known[(*what, tuple(sorted(xattrs.items())))], "the bytes of an entry that is as it was before"
        )
    expect(len(set(known.values())) == len(known), "of many different entries two give the same bytes.")


def test_7_4_the_engine_caches_by_it(pyctr: Any, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/word").write_text("hello")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY tree /tree\n")

    def is_cached() -> bool:
        said = pyctr("build", "--progress", "plain", str(tmp_path))
        return "CACHED" in said.stdout + said.stderr

    expect(not is_cached(), "the first build of a Dockerfile says CACHED: what was there to be used?")
    os.utime(tmp_path / "tree/word", (5, 5))
    expect(is_cached(), "a file has another time, and COPY runs again.")
    (tmp_path / "tree/word").chmod(0o600)
    expect(not is_cached(), "a file has another mode, and COPY takes the layer with the old one.")


# --- 7.5 -------------------------------------------------------------------------------------------------


class Place:
    """A directory of an image, what is outside of it, and a context with the file `new`."""

    def __init__(self, yours: Yours | Function, top: Path) -> None:
        self.yours, self.top = yours, top
        self.context, self.image, self.outside = (top / name for name in ("context", "image", "outside"))
        for directory in (self.context, self.image, self.outside):
            directory.mkdir(parents=True)
        (self.outside / "secret").write_text("the host's own")
        (self.context / "new").write_text("of the context")

    def put(self, kind: str, name: str = "name") -> Path:
        """Put something in the way, by a name that says what."""
        path = self.image / name
        match kind:
            case "a file":
                path.write_text("old and longer than the new one")
            case "a file that nobody may write to":
                path.write_text("old")
                path.chmod(0)
            case "a file with a second name":
                path.write_text("old")
                os.link(path, self.image / "second")
            case "a link to a file outside":
                path.symlink_to(self.outside / "secret")
            case "a link to a directory outside":
                path.symlink_to(self.outside)
            case "a link to the directory above":
                path.symlink_to("..")
            case "a link to a directory beside it":
                (self.image / "beside").mkdir()
                path.symlink_to("beside")
            case "a link to nothing":
                path.symlink_to(self.outside / "created")
            case "a link to itself":
                path.symlink_to(name)
            case "a fifo":
                os.mkfifo(path)
            case "a device":
                os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
            case "a socket":
                with socket.socket(socket.AF_UNIX) as unix, at(self.image):
                    unix.bind(name)
            case "a whiteout":
                os.mknod(path, stat.S_IFCHR, 0)
        return path

    def copy(self, name: str = "name", source: str = "new", **more: Any) -> Answer:
        args = (str(self.context), str(self.image), [(source, name)])
        return self.yours.answer(args, more, scene="copied")

    def is_untouched(self, when: str) -> None:
        """What is outside is as it was."""
        equal(sorted(os.listdir(self.outside)), ["secret"], f"{when}: what is outside of the image")
        equal((self.outside / "secret").read_text(), "the host's own", f"{when}: the text of a file outside")

    def is_copied(self, when: str, name: str = "name") -> None:
        path = self.image / name
        mode = path.lstat().st_mode if os.path.lexists(path) else 0
        expect(mode, f"{when}, and afterwards there is no file of this name in the directory.")
        expect(stat.S_ISREG(mode), f"{when}, and afterwards it is still that. Does your open follow it?")
        equal(path.read_text(), "of the context", f"{when}: the text of the copy")


@contextlib.contextmanager
def at(directory: Path) -> Iterator[None]:
    """Work in a directory for a moment: the name of a socket is short."""
    before = os.getcwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


IN_THE_WAY = (
    *("nothing", "a file", "a file that nobody may write to", "a file with a second name", "a fifo", "a device"),
    *("a socket", "a whiteout", "a link to a file outside", "a link to a directory outside", "a link to nothing"),
    *("a link to the directory above", "a link to a directory beside it", "a link to itself"),
)


def test_7_5_whatever_has_the_name_is_replaced(yours: Yours, tmp_path: Path) -> None:
    for number, kind in enumerate(IN_THE_WAY):
        place = Place(yours, tmp_path / str(number))
        path = place.put(kind)
        before = path.lstat().st_ino if os.path.lexists(path) else 0
        answer = place.copy()
        when = f"the name has {kind}" if number else "the name is free"
        place.is_untouched(when)
        expect(answer.raised is None, f"{when}, and copy_file fails\n    {answer.raised}\nWhat has to go first?")
        place.is_copied(when)
        if kind == "a file with a second name":
            equal((place.image / "second").read_text(), "old", "the file's second name: whose text is it?")
            expect(
                path.lstat().st_ino != before, "the copy is the old inode: a file with two names has two readers."
            )
        if kind == "a link to a directory beside it":
            equal(os.listdir(place.image / "beside"), [], "the directory that the link led to")
        equal(path.stat().st_nlink, 1, f"{when}: the number of names of the copy")
        others = sorted({*os.listdir(place.image)} - {"second", "beside"})
        equal(others, ["name"], f"{when}: what is in the directory afterwards")


def test_7_5_a_directory_stays(yours: Yours, tmp_path: Path) -> None:
    for number, names in enumerate(([], ["kept"])):
        place = Place(yours, tmp_path / str(number))
        (place.image / "name").mkdir(0o750)
        for name in names:
            (place.image / "name" / name).write_text("kept")
        for path in ("/app", "/usr/share/x"):
            raised = yours.refused(
                place.copy(path=path),
                InvalidArgument,
                f"The name is that of a directory{' with a file in it' if names else ', an empty one'}.",
                call="copy_file(…)",
            )
            expect(
                f"cannot replace directory {path}/name with a file" in raised.text,
                f"copy_file raises\n    {raised}\nThe words of the docstring are\n    cannot replace directory "
                f"{path}/name with a file",
            )
        mode = (place.image / "name").lstat().st_mode
        expect(mode == stat.S_IFDIR | 0o750, f"the directory has the mode {mode:o} afterwards. Whose was it?")
        equal(os.listdir(place.image / "name"), names, "what is in the directory afterwards")


def test_7_5_names_are_those_of_the_directory(yours: Yours, tmp_path: Path) -> None:
    place = Place(yours, tmp_path / "a")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("name", "new"):
        (elsewhere / name).write_text("of the caller")
    answer = place.copy(cwd=str(elsewhere))
    expect(answer.raised is None, f"copy_file fails in another working directory\n    {answer.raised}")
    place.is_copied("the working directory is another one")
    found = [(elsewhere / name).read_text() for name in ("name", "new")]
    equal(found, ["of the caller"] * 2, "the files of these names in the working directory")
    for name in ("two words", "-rf", "ü", os.fsdecode(b"\xff"), "x" * 255, "new\nline", ".wh.file"):
        answer = place.copy(name)
        expect(answer.raised is None, f"copy_file fails with the name {name!r}\n    {answer.raised}")
        place.is_copied(f"the name is {name!r}", name)


def test_7_5_content_and_attributes_are_the_sources(yours: Yours, tmp_path: Path) -> None:
    for number, (mode, size, xattrs) in enumerate(
        (
            (0o644, 5, {}),
            (0o4755, 10, {"user.a": b"1"}),
            (0o000, 3 << 20, {"user.b": b"\0", "user.c": b""}),
            (0o600, 0, {}),
        )
    ):
        place = Place(yours, tmp_path / str(number))
        source = place.context / "new"
        data = some_bytes(size, number)
        source.write_bytes(data)
        os.chown(source, 1000, 1001)
        source.chmod(mode)
        for name, value in xattrs.items():
            os.setxattr(source, name, value)
        os.utime(source, ns=(5, 1_234_567_890_123_456_789))
        place.put("a file" if number % 2 else "nothing")
        answer = place.copy()
        expect(answer.raised is None, f"copy_file fails\n    {answer.raised}")
        expect(len(answer.value) == 1, f"set_attributes is called {len(answer.value)} times for one copy.")
        [call] = answer.value
        equal(
            oct(call["mode"]), oct(FILE | 0o600), "the mode of the copy before set_attributes. Who could open it?"
        )
        equal(
            call["size"],
            size,
            "the bytes that are in the copy when set_attributes is called: it sets the time, too",
        )
        equal(call["inode"], source.stat().st_ino, "the inode whose status set_attributes is given")
        equal(call["xattrs"], xattrs, "the extended attributes that set_attributes is given")
        found = (place.image / "name").stat()
        expect((place.image / "name").read_bytes() == data, f"the content of {size} bytes is another one.")
        equal(
            [oct(found.st_mode), found.st_uid, found.st_gid, found.st_mtime_ns],
            [oct(FILE | mode), 1000, 1001, 1_234_567_890_123_456_789],
            "mode, owner, group and time of the copy",
        )


def test_7_5_holes_stay_holes(yours: Yours, tmp_path: Path) -> None:
    place = Place(yours, tmp_path / "a")
    with (place.context / "new").open("wb") as file:
        file.truncate(8 << 20)
        file.seek(4 << 20)
        file.write(b"x")
    before = (place.context / "new").stat().st_blocks
    answer = place.copy()
    expect(answer.raised is None, f"copy_file fails\n    {answer.raised}")
    found = (place.image / "name").stat()
    equal(found.st_size, 8 << 20, "the size of the copy of a file with holes")
    expect(
        found.st_blocks <= before + 64,
        f"a file of 8 MiB with holes has {before} blocks on the disk, and its copy {found.st_blocks}: which "
        "function "
        "knows holes?",
    )


def test_7_5_a_source_that_cannot_be_opened_replaces_nothing(yours: Yours, tmp_path: Path) -> None:
    place = Place(yours, tmp_path / "a")
    (place.context / "new").unlink()
    (place.context / "new").symlink_to(place.outside / "secret")  # it was a file when it was found
    place.put("a file")
    raised = yours.refused(
        place.copy(),
        OSError,
        "The source has become a link: entry.open() refuses it.",
        errno.ELOOP,
        "copy_file(…)",
    )
    expect(raised is not None, "")
    path = place.image / "name"
    text = path.read_text() if path.exists() else ""
    expect(
        text.startswith("old"),
        "the source could not be opened, and the file that it should replace "
        f"{f'has the text {text!r}' if text else 'is gone'}: what comes first?",
    )


def test_7_5_a_source_may_have_been_found_through_a_link(yours: Yours, tmp_path: Path) -> None:
    place = Place(yours, tmp_path / "a")
    place.put("a file")
    args = (str(place.context / "new"), str(place.image), "name")
    answer = yours.answer(args, scene="copied_from_a_link")
    expect(
        answer.raised is None,
        "the entry was found through a link: it has no directory, and its name is a path below /proc. "
        "copy_file fails\n"
        f"    {answer.raised}\nWhich method of the entry knows how to open it?",
    )
    place.is_copied("the entry has no directory, and its name is a path below /proc")


def test_7_5_nobody_is_quicker(yours: Yours, tmp_path: Path) -> None:
    """A link appears under the name between any two steps: it is never followed."""
    for number, kind in enumerate(("nothing", "a file", "a link to nothing")):
        for calls in ("openat", "unlinkat"):
            with yours.at() as function:
                place = Place(function, tmp_path / f"{number}-{calls}")
                place.put(kind)

                def plant(call: Call, place: Place = place, calls: str = calls) -> None:
                    path = place.image / "name"
                    if call.name == calls and call.paths == ("name",) and not os.path.lexists(path):
                        path.symlink_to(place.outside / "secret")

                watch = Watch(FILES, before=plant)
                args = (str(place.context), str(place.image), [("new", "name")])
                answer = function.answer(args, scene="copied", watch=watch)
                when = f"the name has {kind}, and a link appears there at the very moment of your {calls}"
                place.is_untouched(when)
                if answer.raised is None:
                    place.is_copied(when)


def test_7_5_what_the_kernel_refuses_is_raised(yours: Yours, tmp_path: Path) -> None:
    numbers = iter(range(1000))

    def run(function: Function, watch: Watch) -> Answer:
        place = Place(function, tmp_path / str(next(numbers)))
        place.put("a file")
        args = (str(place.context), str(place.image), [("new", "name")])
        return function.answer(args, scene="copied", watch=watch)

    calls = ("openat", "unlinkat", "copy_file_range", "sendfile", "write", "fchown", "fchmod")
    about = "A file that was copied by half is a layer that is broken by half."
    yours.each_refusal(
        run,
        tuple(name for name in calls if name in (*FILES, *WRITES)),
        errors=(errno.EIO, errno.ENOSPC, errno.EPERM),
        about=about,
    )


def test_7_5_what_fails_after_the_copy_is_raised(yours: Yours, tmp_path: Path) -> None:
    for number, error in enumerate((PermissionError(errno.EPERM, "no"), ValueError("odd"))):
        place = Place(yours, tmp_path / str(number))
        raised = place.copy(fails=error).raised
        when = f"set_attributes raises {type(error).__name__}"
        expect(
            raised is not None and raised.name == type(error).__name__,
            f"{when}, and copy_file {f'raises {raised}' if raised else 'returns'}.",
        )
        left = set(os.listdir(place.image)) - {"name"}
        equal(sorted(left), [], f"{when}: what is left under another name")


def test_7_5_a_build_follows_no_link_of_its_base(pyctr: Any, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for name in ("file", "directory", "nothing"):
        (tmp_path / "tree" / name).write_text("new")
    links = "ln -s /etc/passwd /file && ln -s /etc /directory && ln -s /etc/created /nothing"
    (tmp_path / "Dockerfile").write_text(f"FROM busybox\nRUN {links}\nCOPY tree/ /\n")
    image = pyctr("build", "-q", str(tmp_path)).stdout.strip()
    script = "for name in file directory nothing; do [ -L /$name ] || cat /$name; done; "
    script += "head -c 4 /etc/passwd; ls /etc/created"
    said = pyctr("run", "--rm", image, "sh", "-c", script, check=False).stdout
    equal(
        said,
        "newnewnewroot",
        "three links of the base are replaced by files with the text new; then /etc/passwd begins with",
    )
