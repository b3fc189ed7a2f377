"""Attributes of every line of a container's log: `--log-opt` labels, labels-regex, env, env-regex and tag.

As in Docker's json-file driver (moby, daemon/logger: loginfo.go, loggerutils/log_tag.go). A monitor imports this
module only if its container has such an option.
"""

from __future__ import annotations

import re

from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyctr_lite.engine.container.container import Container

KEYS = ("env", "env-regex", "labels", "labels-regex", "tag")
_FIELD = re.compile(r"\{\{-?\s*\.(\w+)\s*-?\}\}")
_FIELDS = ("Command", "DaemonName", "FullID", "ID", "ImageFullID", "ImageID", "ImageName", "Name")


def check(given: Mapping[str, str]) -> None:
    """Raise InvalidArgument if an expression or a tag cannot be read."""
    for key in ("labels-regex", "env-regex"):
        try:
            re.compile(given.get(key, ""))
        except re.error as error:
            raise InvalidArgument(f"failed to initialize logging driver: {key}: {error}") from None
    tag = given.get("tag", "")
    unknown = [name for name in _FIELD.findall(tag) if name not in _FIELDS]
    if unknown or "{{" in _FIELD.sub("", tag):
        fields = ", ".join(f"{{{{.{name}}}}}" for name in _FIELDS)
        raise InvalidArgument(f"invalid log tag '{tag}'", f"supported: text with {fields}")


def of(container: Container) -> dict[str, str]:
    """Return the attributes of a container's log lines."""
    record = container.record
    given = record.options.log_options
    variables = dict(item.partition("=")[::2] for item in record.env)
    attributes = {
        **_select(record.labels, given.get("labels", ""), given.get("labels-regex", "")),
        **_select(variables, given.get("env", ""), given.get("env-regex", "")),
    }
    if given.get("tag"):
        fields = {
            "Command": " ".join(record.args),
            "DaemonName": "pyctr_lite",
            "FullID": record.id,
            "ID": record.id[:12],
            "ImageFullID": record.image,
            "ImageID": record.image.removeprefix("sha256:")[:12],
            "ImageName": record.image_name,
            "Name": record.name,
        }
        attributes["tag"] = _FIELD.sub(lambda match: str(fields.get(match[1], match[0])), given["tag"])
    return attributes


def _select(values: Mapping[str, str], names: str, expression: str) -> dict[str, str]:
    wanted = set(names.split(",")) if names else set()
    return {
        name: value
        for name, value in values.items()
        if name in wanted or (expression and re.search(expression, name))
    }
