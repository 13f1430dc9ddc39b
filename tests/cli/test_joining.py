"""The provider's commands as a person types them: what is wrong is said with its fix."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from intertie.agent.windows import DAYS
from tests.cli.conftest import Call

SETTINGS = 'network = "http://127.0.0.1:1"\nfolder = "here"\npool = "lab"\n'


def test_a_check_says_all_that_it_looked_at_and_what_is_wrong(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    elsewhen = DAYS[(datetime.now(UTC).weekday() + 3) % 7]
    shut = f'lend = ["{elsewhen}"]\ntime_zone = "UTC"\n'
    path.write_text(SETTINGS + shut + 'engine = "fake"\nnot_projects = ["ads"]\n')
    found = call("agent", "check", str(path), "--json")
    assert found.exit_code == 1
    said = json.loads(found.stdout)
    words = {each["check"]: each["word"] for each in said["findings"]}
    assert words == {
        "agent_settings": "ok",
        "agent_engine": "ok",
        "agent_lent": "warn",
        "agent_limits": "ok",
        "agent_window": "warn",
        "agent_guests": "ok",
        "agent_score": "warn",
        "agent_network": "bad",
        "agent_joined": "warn",
    }
    assert said["lent"]["cpus_milli"] == 0
    assert not said["is_well"]
    for lang, word in (("en", "shut until"), ("zh-CN", "关闭至")):
        assert word in call("agent", "check", str(path), "--lang", lang).stdout


@pytest.mark.parametrize(
    ("lang", "limit", "sessions"),
    [("en", "a limit on memory", "interactive sessions"), ("zh-CN", "内存限额", "交互会话")],
)
def test_a_check_says_in_words_what_is_not_enforced_and_not_offered(
    call: Call, tmp_path: Path, lang: str, limit: str, sessions: str
) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(SETTINGS + "limits = false\n")
    offering = " ".join(call("agent", "check", str(path), "--lang", lang).stdout.split())
    assert limit in offering
    assert sessions in offering
    assert not re.search("memory_limit|cpu_limit|pids_limit|network_off", offering)
    path.write_text(SETTINGS + "limits = false\nsessions = false\n")
    found = call("agent", "check", str(path), "--lang", lang).stdout
    assert sessions not in " ".join(found.split())
    assert "sessions = false" in found
    told = json.loads(call("agent", "check", str(path), "--json").stdout)
    assert "sessions" not in told["facts"]["abilities"]
    path.write_text(SETTINGS + 'sessions = "never"\n')
    assert "sessions" in call("agent", "check", str(path)).stdout


def test_a_check_of_wrong_settings_names_the_field(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(SETTINGS + 'colour = "red"\n')
    found = call("agent", "check", str(path))
    assert found.exit_code == 1
    assert "colour" in found.stdout


@pytest.mark.parametrize(
    ("more", "code", "text"),
    [
        ((), 6, "127.0.0.1"),
        (("--engine", "condor"), 2, "there is fake, host"),
        (("--fingerprint", "abc"), 2, "fingerprint"),
        (("--price", "free"), 2, "price"),
        (("--pool", "a b"), 2, "pool"),
    ],
)
def test_a_join_that_cannot_be_is_told_why(
    call: Call, tmp_path: Path, more: tuple[str, ...], code: int, text: str
) -> None:
    place = ("--folder", str(tmp_path / "lab"), "--token", "t")
    named = () if "--pool" in more else ("--pool", "lab")
    found = call("join", "http://127.0.0.1:1", *place, *named, *more)
    assert found.exit_code == code
    assert text in found.stderr
    assert not (tmp_path / "lab" / "agent.json").exists()


def test_a_careless_join_is_told_what_to_write(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for words, text in (
        (("net.example.org:8420", "--token", "t"), "https://host:port"),
        (("http://127.0.0.1:1", "--folder", str(tmp_path / "a")), "--token"),
        (("http://127.0.0.1:1", "--token", "t", "--folder", str(tmp_path / "file/x")), "--folder"),
    ):
        found = call("join", *words, "--pool", "lab")
        assert found.exit_code == 2
        assert text in found.stderr


def test_leaving_what_was_never_joined_is_fine(call: Call, tmp_path: Path) -> None:
    assert call("leave", "--folder", str(tmp_path)).exit_code == 0


@pytest.mark.parametrize("command", ["serve", "up"])
def test_a_door_beyond_loopback_wants_tls_or_to_be_told(
    call: Call, tmp_path: Path, command: str
) -> None:
    place = ("--data", str(tmp_path), "--host", "0.0.0.0")
    if command == "serve":
        assert call("init", "--data", str(tmp_path)).exit_code == 0
    found = call(command, *place)
    assert found.exit_code == 2
    assert "--tls" in found.stderr
    half = call(command, *place, "--tls-cert", "x.pem")
    assert (half.exit_code, "--tls-key" in half.stderr) == (2, True)
    missing = call(command, *place, "--tls-cert", "x.pem", "--tls-key", "y.pem")
    assert (missing.exit_code, "x.pem" in missing.stderr) == (2, True)
