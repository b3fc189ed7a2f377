"""`--help` of `pyctr-oci` and of each of its verbs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from pyctr_lite.oci.arguments import Option


def overview(options: Sequence[Option], verbs: dict[str, str], asked: bool) -> int:
    """Print the verbs and the global options. Returns 0 if the user asked for them, else 1."""
    print("Usage: pyctr-oci [OPTIONS] COMMAND\n\nAn OCI runtime for podman, containerd, Docker and Kubernetes.\n")
    print("Commands:")
    for verb, name in verbs.items():
        module = __import__(f"pyctr_lite.oci.verbs.{name}", fromlist=["SUMMARY"])
        print(f"  {verb:<10} {module.SUMMARY}")
    print(f"\nOptions:\n{_lines(options)}")
    return 0 if asked else 1


def of_verb(verb: str, module: ModuleType) -> int:
    """Print how a verb is called."""
    print(f"Usage: pyctr-oci {verb} [OPTIONS] {module.WORDS}".rstrip())
    print(f"\n{module.SUMMARY[0].upper()}{module.SUMMARY[1:]}.")
    if module.OPTIONS:
        print(f"\nOptions:\n{_lines(module.OPTIONS)}")
    return 0


def _lines(options: Sequence[Option]) -> str:
    rows = []
    for option in options:
        short = f"-{option.short}, " if option.short else "    "
        rows.append((f"{short}--{option.name} {option.value}".rstrip(), option.help))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {help}" for name, help in rows)
