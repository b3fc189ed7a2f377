"""The state of a stage between two of its instructions: the image so far, and its variables."""

from __future__ import annotations

import copy

from pyctr_lite.build.scope import Scope
from pyctr_lite.commit import config as image_config
from pyctr_lite.engine.build import inline
from pyctr_lite.images import platforms
from pyctr_lite.runtime import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.build.scope import Arguments
    from pyctr_lite.images.image import Image, Layer

_MAPS = {"ExposedPorts", "Labels", "Volumes"}
_NOT_INHERITED = ("container", "container_config", "parent", "id", "size", "comment", "docker_version")
COMMENT = "buildkit.dockerfile.v0"
"""The comment of each line of the history: it names the form of `created_by`, for tools that read it."""


class State:
    """An image in the making. `image` is its config without history and layers, `config` the part in it.

    `history` has an entry for each instruction, without the time if the instruction made no layer. The entries of
    a base are its own: they get their times when its steps run.
    """

    def __init__(
        self, image: dict[str, Any], layers: list[Layer], history: list[dict[str, Any]], scope: Scope
    ) -> None:
        self.image, self.layers, self.history, self.scope = image, layers, history, scope
        self.config: dict[str, Any] = image["config"]
        self.cmd_set = False
        self.steps: list[dict[str, Any]] = []
        """The steps that made layers, as `inline` writes them."""
        self.base = f"sha256:{'0' * 64}"
        """The id of the image that FROM names, perhaps of another stage."""

    @classmethod
    def of_scratch(cls, arguments: Arguments) -> State:
        """Return the state of `FROM scratch`."""
        config = {"Env": [f"PATH={program.DEFAULT_PATH}"], "WorkingDir": "/"}
        image = {"architecture": platforms.architecture(), "os": "linux", "config": config}
        return cls(image, [], [], Scope(arguments, _variables(config)))

    @classmethod
    def of_image(cls, arguments: Arguments, base: Image) -> State:
        """Return the state of FROM an image."""
        image = copy.deepcopy(image_config.complete_history(base.config))
        history, config = image.pop("history"), image.get("config") or {}
        image.pop("rootfs")
        image["config"] = {key: config[key] for key in image_config.IMAGE_KEYS if config.get(key)}
        for key in (*_NOT_INHERITED, inline.MEMBER):
            image.pop(key, None)
        state = cls(image, list(base.layers), history, Scope(arguments, _variables(config)))
        state.base = base.id
        return state

    def copy(self) -> State:
        """Return the state of FROM this stage. It has the variables of its ARGs, unless an ENV has the name."""
        scope = Scope(self.scope.arguments, self.scope.environment | _variables(self.config))
        scope.declared = list(self.scope.declared)
        state = State(copy.deepcopy(self.image), list(self.layers), list(self.history), scope)
        state.base = self.base
        return state

    def add_line(self, created_by: str, *, empty: bool = True) -> dict[str, Any]:
        """Add the line of an instruction to the history, and return its entry."""
        entry: dict[str, Any] = {"created_by": created_by, "comment": COMMENT}
        if empty:
            entry["empty_layer"] = True
        self.history.append(entry)
        return entry

    def image_config(self, created: str, *, pinned: bool) -> dict[str, Any]:
        """Return the whole config of the image.

        A line without a time gets that of the line before it; the first ones that of the first layer of the build
        (buildkit, exporter/containerimage). Without any time they get the base's, or else `created`. If `pinned`,
        all lines of the build and the image have that time.
        """
        image = copy.deepcopy(self.image)
        image["config"] = {key: value for key, value in image["config"].items() if value}
        for key in _MAPS & image["config"].keys():  # Go writes maps sorted
            image["config"][key] = dict(sorted(image["config"][key].items()))
        image["rootfs"] = {"type": "layers", "diff_ids": [layer.diff_id for layer in self.layers]}
        if pinned:
            history = [entry | {"created": entry.get("created") or created} for entry in self.history]
            return image | {"history": _with_times(history, created), "created": created}
        created = self.image.get("created") or created
        image["history"] = _with_times(self.history, created)
        image["created"] = image["history"][-1]["created"] if image["history"] else created
        return image


def _with_times(history: list[dict[str, Any]], default: str) -> list[dict[str, Any]]:
    missing = next((number for number, entry in enumerate(history) if not entry.get("created")), len(history))
    later = [entry["created"] for entry in history[missing:] if entry.get("created")]
    before = [entry["created"] for entry in history[:missing]]
    time = later[0] if later else before[-1] if before else default
    filled = []
    for number, entry in enumerate(history):
        if number > missing:
            time = entry.get("created") or time
        filled.append({"created": "", **entry} | {"created": entry.get("created") or time})
    return filled


def _variables(config: dict[str, Any]) -> dict[str, str]:
    return dict(item.partition("=")[::2] for item in config.get("Env") or [])
