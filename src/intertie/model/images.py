"""Names of images: what a registry could have, and nothing that reads this machine's files."""

import re

# A registry's own address comes first: a bare word may be one of podman's ways to read local files.
NAME = re.compile(
    r"(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+)(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+"
    r"(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?",
    re.ASCII,
)


def check_image(name: str) -> None:
    """ValueError unless `name` is one that a registry could have, with its address."""
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no image name; write registry/name@sha256:digest, "
            "such as docker.io/library/python@sha256:…"
        )
