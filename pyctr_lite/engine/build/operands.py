"""The operands of a COPY or ADD: its words with their variables put in, and checked."""

from __future__ import annotations

import posixpath

from pyctr_lite.build import modes
from pyctr_lite.build.patterns import Exclusions
from pyctr_lite.commit import words
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number
from pyctr_lite.images import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.build.syntax import Heredoc, Instruction
    from pyctr_lite.engine.build.stage import StageBuilder

_REMOTE = ("http://", "https://")
_GIT = ("git://", "git@", "ssh://", "github.com/")


class Operands:
    """The operands of a COPY or ADD. Raises InvalidArgument and DockerfileError for those that are wrong.

    `owner` is the text of --chown. `remote` are the URLs among the sources, `local` the other sources.
    """

    def __init__(self, builder: StageBuilder, instruction: Instruction) -> None:
        scope = builder.state.scope
        self.name, self.flags = instruction.name, instruction.flags
        self.origin = builder.build.origin(instruction, instruction.flag("from"), builder.stage)
        documents = {it.name: it for it in instruction.heredocs}
        self.documents: list[tuple[Heredoc, str]] = []
        self.sources: list[str] = []
        for word in instruction.args[:-1]:
            start = word.lstrip("0123456789")
            found = documents.get(words.expand(start[2:].lstrip("-"), {})) if start.startswith("<<") else None
            if found is not None:
                text = scope.document(instruction, found.content) if found.expand else found.content
                self.documents.append((found, text))
            else:
                self.sources.append(scope.expand(instruction, word))
        self.given_destination = scope.expand(instruction, instruction.args[-1])
        self.destination = posixpath.join(builder.working_directory(), self.given_destination)
        if not self.given_destination or posixpath.basename(self.destination) in (".", ".."):
            self.destination = posixpath.join(self.destination, "")
        self.is_directory = self.destination.endswith("/")
        self.destination = "/" + posixpath.normpath(self.destination).lstrip("/")
        self.chown = scope.expand(instruction, instruction.flag("chown"))
        self.chmod = scope.expand(instruction, instruction.flag("chmod"))
        self.mode = modes.parse(self.chmod) if self.chmod else None
        self.directory_mode = int(self.chmod, 8) if number.is_digits(self.chmod) else 0o755
        """The mode of directories that are made for the destination: that of --chmod, if it is a number."""
        self.patterns = instruction.flags.get("exclude", [])
        self.link, self.parents = instruction.switch("link"), instruction.switch("parents")
        self.unpack = instruction.switch("unpack", instruction.name == "ADD")
        self.checksum = scope.expand(instruction, instruction.flag("checksum"))
        self.remote = [source for source in self.sources if source.startswith(_REMOTE)]
        self.local = [source for source in self.sources if source not in self.remote]
        self._check()

    def _check(self) -> None:
        Exclusions(self.patterns)
        if self.remote and self.name == "COPY":
            raise InvalidArgument(f"source can't be a URL for COPY: {self.remote[0]}", "use ADD")
        for source in self.sources:
            is_repository = source.startswith(_REMOTE) and source.partition("#")[0].endswith(".git")
            if source.startswith(_GIT) or is_repository:
                raise InvalidArgument(
                    f"{source}: a git repository is not supported as a source", "clone it into the context first"
                )
        if self.checksum and (len(self.remote) != 1 or self.local):
            raise InvalidArgument("checksum requires one HTTP(S) source")
        if self.checksum and not reference.is_digest(self.checksum):
            raise InvalidArgument(f"invalid checksum {self.checksum}", "sha256:HEX")

    def history(self) -> str:
        """Return the line of the history."""
        flags = ["--parents"] if self.parents else []
        flags += [f"--{name}={value}" for name, value in (("chown", self.chown), ("chmod", self.chmod)) if value]
        documents = [f"<<{document.name}" for document, _ in self.documents]
        shown = [self.name, *flags, *self.sources, *documents, self.given_destination]
        return f"{' '.join(shown)} # buildkit"
