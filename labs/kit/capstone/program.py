"""The learner's program as it is written, without running it: to do, broken, or against the rule of imports."""

from __future__ import annotations

import ast
import re
from pathlib import Path

FILE = "capstone/run.py"
"""The program, below the labs' directory."""
RULE = "the capstone uses pyctr_lite.linux and your own functions of labs 1 to 6"
ALLOWED = ("linux", "errors", "cgroups.hierarchy")
"""The parts of pyctr_lite that the program may import."""


def state(path: Path) -> tuple[str, str]:
    """Return "written", "to do" or "broken", and why it is broken.

    A program with `raise Todo(…)` outside of its functions, or without any statement, is to do.
    """
    try:
        tree = ast.parse(path.read_text(), str(path))
    except FileNotFoundError:
        return "broken", f"labs/{FILE} is gone: make reset LAB=capstone brings it back"
    except SyntaxError as error:
        text = f"\n    {error.text.strip()}" if error.text else ""
        return "broken", f"labs/{FILE}, line {error.lineno}: {error.msg}{text}"
    except (ValueError, OSError) as error:
        return "broken", f"labs/{FILE}: {error}"
    if _is_todo(tree):
        return "to do", ""
    for line, module in _imports(tree):
        if why := _forbidden(module):
            return "broken", f"labs/{FILE}, line {line}: imports {module}: {why}"
    return "written", ""


def _is_todo(tree: ast.Module) -> bool:
    rest = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    if all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in rest):
        return True
    return any(isinstance(node, ast.Raise) and "Todo" in ast.unparse(node) for node in tree.body)


def _imports(tree: ast.Module) -> list[tuple[int, str]]:
    """List the modules that are imported, and the names taken from packages, with their lines."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, name.name) for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.lineno, f"{node.module}.{name.name}") for name in node.names]
    return found


def _forbidden(module: str) -> str:
    package, _, rest = module.partition(".")
    if package == "pyctr_lite" and not any(f"{rest}.".startswith(f"{name}.") for name in ALLOWED):
        return RULE
    if package == "labs" and not re.match(r"lab\d_|kit\.Todo$", rest):
        return RULE
    return ""
