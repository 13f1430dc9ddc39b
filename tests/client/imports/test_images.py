"""Names of images, as other systems write them."""

import pytest

from intertie.client.imports.images import image_named
from intertie.wire.jobspec import JobSpec

DIGEST = f"@sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("written", "image"),
    [
        ("docker://example.org/ml/torch", "example.org/ml/torch"),
        ("docker:example.org/app", "example.org/app"),
        ("example.org:5000/app", "example.org:5000/app"),
        ("localhost/app", "localhost/app"),
        ("docker://python", "docker.io/library/python"),
        ("docker://python:3.12-slim", "docker.io/library/python:3.12-slim"),
        ("pytorch/pytorch", "docker.io/pytorch/pytorch"),
        ("docker://index.docker.io/python", "docker.io/library/python"),
        ("nvcr.io#nvidia/pytorch:24.01-py3", "nvcr.io/nvidia/pytorch:24.01-py3"),
        ("docker://$oauthtoken@nvcr.io#nvidia/pytorch", "nvcr.io/nvidia/pytorch"),
        ("docker://registry-1.docker.io#library/busybox", "docker.io/library/busybox"),
    ],
)
def test_an_image_by_digest_becomes_what_a_job_spec_takes(written: str, image: str) -> None:
    assert image_named(written + DIGEST) == image + DIGEST
    spec = JobSpec(command=["true"], software={"image": image + DIGEST})
    assert spec.to_request().software.image == image + DIGEST


@pytest.mark.parametrize(
    "written",
    [
        "docker://python:3.12",
        "/data/torch.sqsh",
        "./torch.sqsh" + DIGEST,
        "oci-archive:/etc/passwd" + DIGEST,
        "docker://" + DIGEST,
        "nvcr.io#" + DIGEST,
        "example.org/App" + DIGEST,
        "example.org/app@sha256:short",
        "exämple.org/app" + DIGEST,
        "",
    ],
)
def test_what_may_become_another_image_or_is_none_is_not_named(written: str) -> None:
    assert image_named(written) == ""
