"""Whose network and whose token: arguments, environment, then the credentials file."""

import json
from pathlib import Path

import pytest

from intertie.client import BadInput, Unreachable
from intertie.client.credentials import choose


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTERTIE_HOME", str(tmp_path))
    for name in ("INTERTIE_URL", "INTERTIE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def keep(folder: Path) -> None:
    tokens = {"operator": "op", "lab": "lab-token"}
    told = {"url": "http://127.0.0.1:8420", "tokens": tokens, "default": "lab"}
    (folder / "credentials.json").write_text(json.dumps(told))


def test_the_file_gives_address_and_default_token(folder: Path) -> None:
    keep(folder)
    assert choose(None, None, None) == ("http://127.0.0.1:8420", "lab-token")


def test_a_name_picks_another_token_of_the_file(folder: Path) -> None:
    keep(folder)
    assert choose(None, None, "operator")[1] == "op"


def test_a_name_that_the_file_lacks_is_refused_with_those_there_are(folder: Path) -> None:
    keep(folder)
    with pytest.raises(BadInput, match="lab, operator"):
        choose(None, None, "nobody")


def test_the_environment_comes_before_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(folder)
    monkeypatch.setenv("INTERTIE_URL", "http://other")
    monkeypatch.setenv("INTERTIE_TOKEN", "env")
    assert choose(None, None, None) == ("http://other", "env")
    assert choose("http://mine", "arg", None) == ("http://mine", "arg")


def test_a_token_of_the_file_never_goes_to_another_address(folder: Path) -> None:
    keep(folder)
    assert choose("http://elsewhere", None, None) == ("http://elsewhere", "")
    with pytest.raises(BadInput, match="no token for 'lab'"):
        choose("http://elsewhere", None, "lab")


def test_without_any_network_the_way_to_one_is_told() -> None:
    with pytest.raises(Unreachable, match="intertie up"):
        choose(None, None, None)


def test_a_broken_file_is_named(folder: Path) -> None:
    (folder / "credentials.json").write_text("{")
    with pytest.raises(BadInput, match=r"credentials\.json cannot be read"):
        choose(None, None, None)
