"""`pull`: images from registries."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pyctr_lite.cli.command.flags import Command, Context, Option
from pyctr_lite.cli.screen import layers
from pyctr_lite.errors import InvalidArgument

if TYPE_CHECKING:
    from pyctr_lite.engine.stores.images import Images
    from pyctr_lite.images.reference import Reference


def pull(context: Context) -> int:
    """Download an image, or with -a all tags of a repository, and print its full name."""
    from pyctr_lite.images import reference as references
    from pyctr_lite.registries import pull as pulling

    flags, store = context.flags, context.engine.images
    reference = references.parse(flags.arguments[0])
    if flags.all_tags and not reference.name_only:
        raise InvalidArgument("tag can't be used with --all-tags/-a")
    shown = layers.Layers(quiet=flags.quiet)
    insecure = not flags.tls_verify
    if not flags.all_tags:
        if reference.name_only:
            shown.print(f"Using default tag: {reference.tag}")
        pull_one(store, reference, flags.platform, shown, insecure=insecure)
    else:
        for tag in pulling.tags(reference, insecure=insecure):
            each = references.Reference(reference.domain, reference.path, tag, "", False)
            pull_one(store, each, flags.platform, shown, insecure=insecure)
    print(reference.canonical() if not flags.all_tags else f"{reference.domain}/{reference.path}")
    return 0


def pull_one(
    store: Images, reference: Reference, platform: str | None, shown: layers.Layers, *, insecure: bool = False
) -> None:
    """Pull one image, with Docker's lines."""
    shown.print(f"{reference.digest or reference.tag}: Pulling from {reference.path}")
    pulled = store.pull(reference.canonical(), platform, shown, insecure=insecure)
    state = "Downloaded newer image" if pulled.is_new else "Image is up to date"
    shown.print(f"Digest: {pulled.digest}")
    shown.print(f"Status: {state} for {reference.familiar()}")


def pull_missing(store: Images, name: str, platform: str | None) -> None:
    """Pull an image that a container needs, with the lines on stderr."""
    from pyctr_lite.images import reference as references

    reference = references.parse(name)
    pull_one(store, reference, platform, layers.Layers(2))
    sys.stderr.flush()


PLATFORM = Option("platform", "string", "Set platform if server is multi-platform capable")
TLS_VERIFY = Option("tls-verify", "bool", "Require HTTPS and a valid certificate", default=True)

COMMANDS = {
    "pull": Command(
        "pull",
        "NAME[:TAG|@DIGEST]",
        "Download an image from a registry",
        (
            Option("all-tags", "bool", "Download all tagged images in the repository", short="a"),
            PLATFORM,
            Option("quiet", "bool", "Suppress verbose output", short="q"),
            TLS_VERIFY,
        ),
        action=pull,
        aliases=("image pull",),
        example="pyctr_lite pull busybox",
        differs="Docker does not have --tls-verify. A registry on this machine may speak plain HTTP, others with "
        "--tls-verify=false, or if PYCTR_LITE_INSECURE_REGISTRIES lists them (host:port,…).",
    ),
}
