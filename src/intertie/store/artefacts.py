"""Where blobs are kept, by the operator's word: the data folder, or a bucket.

`s3://bucket/prefix` goes to Amazon's S3, or to what `endpoint` names; credentials and region come
from where every tool of that family finds them: the AWS variables, files and instance roles.
"""

import ipaddress
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from intertie.store.blobs import Blobs, FolderBlobs
from intertie.store.s3 import Bucket, S3Blobs

ARTEFACTS, ENDPOINT = "INTERTIE_ARTEFACTS", "INTERTIE_S3_ENDPOINT"
REGION = "us-east-1"


def blobs_told_by(environment: Mapping[str, str], data: Path) -> Blobs:
    """Return the blobs of a network; ValueError names the setting that is wrong and the fix."""
    bucket = open_bucket(environment.get(ARTEFACTS, ""), environment.get(ENDPOINT, ""))
    return FolderBlobs(data) if bucket is None else S3Blobs(bucket)


def open_bucket(artefacts: str, endpoint: str = "") -> Bucket | None:
    """Return the bucket that a setting names, None for the data folder; nothing is asked of it."""
    if not artefacts:
        return None
    parts = urlsplit(artefacts)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"{ARTEFACTS}: {artefacts!r} is no place; write s3://bucket/prefix")
    if endpoint and urlsplit(endpoint).scheme not in ("http", "https"):
        raise ValueError(f"{ENDPOINT}: {endpoint!r} is no address; write https://host:port")
    return Bucket(_client(endpoint), parts.netloc, parts.path)


def _client(endpoint: str) -> Any:
    import boto3  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]

    session = boto3.session.Session()
    config = Config(
        region_name=session.region_name or os.environ.get("AWS_REGION") or REGION,
        connect_timeout=3,
        read_timeout=20,
        retries={"mode": "standard", "max_attempts": 3},
        max_pool_connections=32,
        # Stores other than Amazon's know neither its newest checksums nor a host for each bucket.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto"},
        proxies={} if _is_loopback(endpoint) else None,
    )
    return session.client("s3", endpoint_url=endpoint or None, config=config)


def _is_loopback(endpoint: str) -> bool:
    """Return whether the store is this machine: a proxy from the environment is no help then."""
    host = urlsplit(endpoint).hostname or ""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
