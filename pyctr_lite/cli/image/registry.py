"""`pull`, `push`, `manifest inspect`: images in registries."""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Command, Context, Option
from pyctr_lite.cli.screen import layers
from pyctr_lite.errors import InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.registries.repository import Repository


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
        layers.pull(store, reference, flags.platform, shown, insecure=insecure)
    else:
        for tag in pulling.tags(reference, insecure=insecure):
            each = references.Reference(reference.domain, reference.path, tag, "", False)
            layers.pull(store, each, flags.platform, shown, insecure=insecure)
    print(reference.canonical() if not flags.all_tags else f"{reference.domain}/{reference.path}")
    return 0


def push(context: Context) -> int:
    """Upload an image, or with -a all tags of a repository."""
    from pyctr_lite.images import reference as references
    from pyctr_lite.registries import push as pushing

    flags, store = context.flags, context.engine.images
    reference = references.parse(flags.arguments[0])
    if reference.digest:
        raise InvalidArgument("cannot push a digest reference")
    if flags.all_tags and not reference.name_only:
        raise InvalidArgument("tag can't be used with --all-tags/-a")
    shown = layers.Layers(quiet=flags.quiet)
    if reference.name_only and not flags.all_tags:
        shown.print(f"Using default tag: {reference.tag}")
    shown.print(f"The push refers to repository [{reference.domain}/{reference.path}]")
    for tag in pushing.tags(store, reference) if flags.all_tags else [reference.tag]:
        name = f"{reference.domain}/{reference.path}:{tag}"
        pushed = store.push(name, shown, insecure=not flags.tls_verify)
        shown.print(f"{tag}: digest: {pushed.digest} size: {pushed.size}")
    if flags.quiet:
        print(reference.canonical() if not flags.all_tags else f"{reference.domain}/{reference.path}")
    return 0


def inspect_manifest(context: Context) -> int:
    """Print the manifest or the index that a registry has under a name."""
    from pyctr_lite import jsonfile
    from pyctr_lite.cli.command import output
    from pyctr_lite.images import reference as references
    from pyctr_lite.registries import answers, repository

    reference = references.parse(context.flags.arguments[0])
    source = repository.Repository(reference, insecure=context.flags.insecure)
    try:
        content = source.manifest(reference.digest or reference.tag)
        value = jsonfile.loads(content)
        if context.flags.verbose:
            output.show_json(_described(source, reference.familiar(), content, value), indent="\t")
            return 0
    except answers.RegistryError as error:
        if error.status != 404:
            raise answers.about(error, reference) from None
        raise NotFound(f"no such manifest: {reference.canonical()}") from None
    output.show_json(value, indent=3 if "manifests" in value else "\t")  # as Docker's client
    return 0


def _described(source: Repository, name: str, content: bytes, value: Any) -> Any:
    """Return what -v shows of a manifest, or a list of that for the manifests of an index."""
    from pyctr_lite import jsonfile
    from pyctr_lite.images import documents, shape

    shape.read(documents.MANIFEST_OR_INDEX, content, "manifest")
    if "manifests" in value:
        found = []
        for each in value["manifests"]:
            below = source.manifest(each["digest"], each["size"])
            platform = each.get("platform") or {}
            found.append(_manifest(f"{name}@{each['digest']}", below, jsonfile.loads(below), platform))
        return found
    platform = {}
    if documents.is_image(value):
        config = shape.read(documents.IMAGE, source.blob(value["config"], "image config"), "image config")
        platform = {key: config[key] for key in ("architecture", "os", "variant") if config.get(key)}
    return _manifest(name, content, value, platform)


def _manifest(name: str, content: bytes, value: Any, platform: dict[str, Any]) -> dict[str, Any]:
    from base64 import b64encode

    from pyctr_lite.digest import sha256
    from pyctr_lite.images.image import MANIFEST

    kind = value.get("mediaType") or MANIFEST
    described = {"mediaType": kind, "digest": f"sha256:{sha256(content).hexdigest()}", "size": len(content)}
    return {
        "Ref": name,
        "Descriptor": described | {"platform": {"architecture": "", "os": ""} | platform},
        "Raw": b64encode(content).decode(),
        "SchemaV2Manifest" if "docker" in kind else "OCIManifest": value,
    }


_QUIET = Option("quiet", "bool", "Suppress verbose output", short="q")
_TLS_VERIFY = Option("tls-verify", "bool", "Require HTTPS and a valid certificate", default=True)
_DIFFERS = (
    "Docker does not have --tls-verify. A registry on this machine may speak plain HTTP, others with "
    "--tls-verify=false, or if PYCTR_LITE_INSECURE_REGISTRIES lists them (host:port,…)."
)

COMMANDS = {
    "pull": Command(
        "pull",
        "NAME[:TAG|@DIGEST]",
        "Download an image from a registry",
        (
            Option("all-tags", "bool", "Download all tagged images in the repository", short="a"),
            Option("platform", "string", "Set platform if server is multi-platform capable"),
            _QUIET,
            _TLS_VERIFY,
        ),
        action=pull,
        aliases=("image pull",),
        example="pyctr_lite pull busybox",
        differs=_DIFFERS,
    ),
    "push": Command(
        "push",
        "NAME[:TAG]",
        "Upload an image to a registry",
        (
            Option("all-tags", "bool", "Push all tags of an image to the repository", short="a"),
            _QUIET,
            _TLS_VERIFY,
        ),
        action=push,
        aliases=("image push",),
        example="pyctr_lite push localhost:5000/mine:1",
        differs=_DIFFERS,
    ),
    "manifest inspect": Command(
        "manifest inspect",
        "MANIFEST",
        "Display an image manifest, or manifest list",
        (
            Option("insecure", "bool", "Allow communication with an insecure registry"),
            Option("verbose", "bool", "Output additional info including layers and platform", short="v"),
        ),
        action=inspect_manifest,
        example="pyctr_lite manifest inspect busybox",
        differs="The manifest is shown as the registry has it.",
    ),
}
