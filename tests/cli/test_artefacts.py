"""Where blobs are kept, by command: refused with the setting's name, checked when it is chosen."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.servers.swift import Swift, swift

__all__ = ["swift"]


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command says to the processes that it starts is gone after the test."""
    for name in ("INTERTIE_ARTEFACTS", "INTERTIE_S3_ENDPOINT"):
        monkeypatch.setenv(name, "")


def test_a_place_that_is_none_is_refused_by_the_name_of_the_setting(
    call: Call, tmp_path: Path
) -> None:
    answer = call("init", "--data", str(tmp_path), "--artefacts", "bucket/prefix")
    assert answer.exit_code == 2
    assert "INTERTIE_ARTEFACTS" in answer.output
    assert not (tmp_path / "credentials.json").exists()


def test_a_network_is_made_only_on_a_bucket_that_answers(
    call: Call, tmp_path: Path, swift: Swift
) -> None:
    known = ("--data", str(tmp_path), "--s3-endpoint", swift.url, "--artefacts")
    refused = call("init", *known, "s3://absent/x")
    assert refused.exit_code != 0
    assert "no bucket absent" in refused.output
    made = call("init", *known, f"s3://{swift.bucket().name}/x")
    assert made.exit_code == 0, made.output
    assert os.environ["INTERTIE_S3_ENDPOINT"] == swift.url


def test_the_doctor_says_that_a_bucket_is_in_no_backup_and_when_it_is_away(
    call: Call, tmp_path: Path, swift: Swift, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> dict[str, str]:
        told = json.loads(call("doctor", "--data", str(tmp_path), "--json").stdout)
        return next(each for each in told if each["check"] == "artefacts")

    assert found()["word"] == "ok"
    monkeypatch.setenv("INTERTIE_S3_ENDPOINT", swift.url)
    monkeypatch.setenv("INTERTIE_ARTEFACTS", f"s3://{swift.bucket().name}/x")
    assert found()["word"] == "warn"
    monkeypatch.setenv("INTERTIE_ARTEFACTS", "s3://absent/x")
    assert found()["word"] == "bad"
