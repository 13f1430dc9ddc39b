"""Names of images as other systems write them, in the one form that the network takes."""

import re

from intertie.model.images import check_image

DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$", re.ASCII)
SCHEME = re.compile(r"^docker:(//)?", re.ASCII)
HUB, HUBS = "docker.io", ("", "docker.io", "index.docker.io", "registry-1.docker.io")


def image_named(text: str) -> str:
    """Return an image as registry/name@sha256:…; empty if none is named so that it stays the same.

    Takes what Docker, enroot and pyxis take: `docker://`, `registry#name`, a user before that, and
    short names, which are Docker Hub's.
    """
    name = SCHEME.sub("", text)
    registry, mark, path = name.partition("#")
    if mark:
        registry = registry.rpartition("@")[2]
    else:
        registry, path = _parted(name)
    if registry in HUBS:
        registry, path = HUB, path if "/" in path else f"library/{path}"
    image = f"{registry}/{path}"
    try:
        check_image(image)
    except ValueError:
        return ""
    return image if DIGEST.search(image) else ""


def _parted(name: str) -> tuple[str, str]:
    """Return the registry and the rest, as Docker tells them apart; no registry is Docker Hub."""
    first, slash, rest = name.partition("/")
    is_registry = bool(slash) and (first == "localhost" or "." in first or ":" in first)
    return (first, rest) if is_registry else ("", name)
