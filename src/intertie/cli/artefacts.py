"""Where a network keeps its blobs, from what a command was told or from the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from intertie.store.s3 import Bucket

ArtefactsOption = Annotated[
    str,
    typer.Option(
        "--artefacts",
        help="cli.option.artefacts",
        metavar="s3://BUCKET/PREFIX",
        envvar="INTERTIE_ARTEFACTS",
    ),
]
EndpointOption = Annotated[
    str,
    typer.Option(
        "--s3-endpoint", help="cli.option.endpoint", metavar="URL", envvar="INTERTIE_S3_ENDPOINT"
    ),
]


def told(artefacts: str, endpoint: str) -> Bucket | None:
    """Return the bucket that was named, None for the data folder; raise BadInput if it is none.

    The processes that this one starts hear of it by their environment, as of the credentials.
    """
    from intertie.client import BadInput
    from intertie.client.errors import problem_of
    from intertie.store.artefacts import ARTEFACTS, ENDPOINT, open_bucket

    try:
        bucket = open_bucket(artefacts, endpoint)
    except ValueError as error:
        raise BadInput(problem_of("bad_request", "", str(error))) from None
    os.environ |= {ARTEFACTS: artefacts, ENDPOINT: endpoint}
    return bucket


def told_and_there(artefacts: str, endpoint: str) -> None:
    """Do the same, and raise Unreachable if the bucket cannot be used."""
    from intertie.client import Unreachable
    from intertie.client.errors import problem_of
    from intertie.store.blobs import StoreAway

    bucket = told(artefacts, endpoint)
    try:
        if bucket is not None:
            bucket.check()
    except StoreAway as error:
        raise Unreachable(problem_of("unavailable", artefacts, str(error))) from None
