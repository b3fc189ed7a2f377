"""`commit` and `diff`."""

from __future__ import annotations

from pyctr_lite.cli.command import output
from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.container import narration
from pyctr_lite.cli.screen import progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cli.command.flags import Context


def commit_container(context: Context) -> int:
    """Create an image from a container's changes and print its id."""
    from pyctr_lite.engine.files import commit

    flags = context.flags
    narration.to_stderr(flags.explain)
    with progress.Progress("commit", quiet=bool(flags.explain)) as shown:
        image = commit.commit(
            context.engine.containers.get(flags.arguments[0]),
            flags.arguments[1] if len(flags.arguments) > 1 else "",
            message=flags.message or "",
            author=flags.author or "",
            changes=flags.change,
            pause=flags.pause,
            watch=shown.watch,
        )
    print(image.id)
    return 0


def print_changes(context: Context) -> int:
    """Print the files that a container has added (A), changed (C) and deleted (D)."""
    from pyctr_lite.engine.files import commit

    for change in commit.changes(context.engine.containers.get(context.flags.arguments[0])):
        print(change.kind, output.one_line(change.path))
    return 0


COMMANDS = {
    "commit": Command(
        "commit",
        "CONTAINER [REPOSITORY[:TAG]]",
        "Create a new image from a container's changes",
        (
            Option("author", "string", 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', short="a"),
            Option("change", "list", "Apply Dockerfile instruction to the created image", short="c"),
            Option("explain", "string", "Narrate each kernel step: text or json", no_value="text"),
            Option("message", "string", "Commit message", short="m"),
            Option("pause", "bool", "Pause container during commit", short="p", default=True),
        ),
        action=commit_container,
        aliases=("container commit",),
        example="pyctr_lite commit -m 'add a page' -c 'CMD [\"httpd\", \"-f\"]' web site:1",
        differs="Docker does not have --explain.",
    ),
    "diff": Command(
        "diff",
        "CONTAINER",
        "Inspect changes to files or directories on a container's filesystem",
        action=print_changes,
        aliases=("container diff",),
        example="pyctr_lite diff web",
    ),
}
