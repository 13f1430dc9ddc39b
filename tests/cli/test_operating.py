"""Running a network by command: made, migrated, backed up, put back, looked at."""

import configparser
import json
import os
import re
import stat
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from intertie.agent import enrolling
from intertie.agent.settings import AgentSettings
from intertie.catalogue.texts import keys
from intertie.cli import roles
from intertie.cli.main import COMMANDS
from intertie.control.decider import Decider
from intertie.store import tables
from intertie.store.appending import append, waited
from intertie.store.database import open_database
from intertie.store.loading import load_world
from intertie.store.numbering import NUMBERS
from intertie.store.versions import newest_version, version_of
from tests.builders import NOW
from tests.cli.conftest import Call

ROOT = Path(__file__).parents[2]


@pytest.fixture(name="place")
def _place(database_url: str, tmp_path: Path) -> tuple[str, ...]:
    return ("--data", str(tmp_path / "home"), "--database", database_url)


def provider(engine: Engine, name: str) -> int:
    number = append(engine, "provider", 0, NOW, {"name": name})
    Decider(engine).decide()
    return number


def test_a_network_is_made_once_with_a_token_that_only_its_owner_reads(
    call: Call, place: tuple[str, ...], tmp_path: Path
) -> None:
    made = call("init", *place, "--json")
    assert made.exit_code == 0, made.output
    kept = tmp_path / "home" / "credentials.json"
    assert json.loads(made.stdout)["credentials"] == str(kept)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    token = json.loads(kept.read_text())["tokens"]["operator"]
    assert token not in made.output
    again = call("init", *place)
    assert again.exit_code == 2
    assert "already" in again.output
    assert json.loads(kept.read_text())["tokens"]["operator"] == token


def test_the_doctor_finds_what_is_wrong_and_says_what_to_do(
    call: Call, place: tuple[str, ...], database_url: str
) -> None:
    assert call("init", *place).exit_code == 0
    engine = open_database(database_url)
    provider(engine, "lab")
    found = {each["check"]: each["word"] for each in _doctor(call, place)}
    assert {found[c] for c in ("folder", "database", "tables", "books")} == {"ok"}
    # The tests' PostgreSQL has fsync off, and is told on.
    assert found["durability"] == ("bad" if engine.dialect.name == "postgresql" else "ok")
    with engine.begin() as connection:
        connection.execute(tables.balance.insert(), [{"account": 1, "amount_micro": 1}])
        connection.execute(update(tables.inbox).values(taken_round=None))
    engine.dispose()
    found = {each["check"]: each["word"] for each in _doctor(call, place)}
    assert (found["books"], found["inbox"]) == ("bad", "bad")
    assert "intertie decide" in " ".join(keys("en").values())
    spoken = call("doctor", *place)
    assert spoken.exit_code == 1
    assert "micro-credits instead of zero" in " ".join(spoken.stdout.split())


def test_the_doctor_says_when_no_database_answers(call: Call, tmp_path: Path) -> None:
    place = ("--data", str(tmp_path), "--database", "postgresql://u:s3cret@127.0.0.1:1/none")
    found = call("doctor", *place)
    assert found.exit_code == 1
    assert "cannot be reached" in " ".join(found.stdout.split())
    assert "s3cret" not in found.output
    served = call("serve", *place)
    assert served.exit_code == 6
    assert "s3cret" not in served.output


def test_a_door_is_told_where_agents_reach_it(
    call: Call, place: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERTIE_DOOR_URL", "")
    heard: list[str] = []
    monkeypatch.setattr(roles, "serve", lambda *_: heard.append(os.environ["INTERTIE_DOOR_URL"]))
    assert call("init", *place).exit_code == 0
    refused = call("serve", *place, "--door-url", "door-1:8421")
    assert refused.exit_code == 2
    assert "https://host:port" in refused.output
    assert call("serve", *place, "--door-url", "https://door-1:8421").exit_code == 0
    monkeypatch.setenv("INTERTIE_DOOR_URL", "https://door-2:8422")
    assert call("serve", *place).exit_code == 0
    assert heard == ["https://door-1:8421", "https://door-2:8422"]


def test_a_process_of_another_version_refuses_to_start(
    call: Call, place: tuple[str, ...], database_url: str
) -> None:
    assert call("init", *place).exit_code == 0
    assert call("migrate", *place, "--to", "0001").exit_code == 0
    for role in ("serve", "decide"):
        refused = call(role, *place)
        assert refused.exit_code == 2
        assert "intertie migrate" in refused.output
    assert call("migrate", *place).exit_code == 0
    engine = open_database(database_url)
    assert version_of(engine) == newest_version()
    engine.dispose()


def test_a_restored_network_gives_no_number_twice(
    call: Call, place: tuple[str, ...], database_url: str, tmp_path: Path
) -> None:
    assert call("init", *place).exit_code == 0
    engine = open_database(database_url)
    before = provider(engine, "before")
    copied = call("backup", str(tmp_path / "copy"), *place, "--json")
    assert copied.exit_code == 0, copied.output
    assert json.loads(copied.stdout)["round"] == 1
    lost = provider(engine, "lost")
    engine.dispose()
    _no_leader(database_url)

    refused = call("restore", str(tmp_path / "copy"), *place)
    assert refused.exit_code == 2
    assert "--replace" in refused.output
    done = call("restore", str(tmp_path / "copy"), *place, "--replace")
    assert done.exit_code == 0, done.output

    engine = open_database(database_url)
    after = provider(engine, "after")
    assert after > NUMBERS >= lost > before
    assert waited(engine, after).is_taken
    world = load_world(engine)
    assert {row.id for row in world.providers.rows()} == {before, after}
    assert all(world.next[noun] > NUMBERS for noun in ("Task", "Lease", "Transaction"))
    with engine.connect() as connection:
        assert connection.execute(select(tables.network.c.incarnation)).scalar() == 2
    engine.dispose()


def test_a_backup_that_is_not_whole_or_of_another_kind_is_refused(
    call: Call, tmp_path: Path
) -> None:
    home = ("--data", str(tmp_path / "home"))
    assert call("init", *home).exit_code == 0
    (tmp_path / "half").mkdir()
    refused = call("restore", str(tmp_path / "half"), *home, "--replace")
    assert refused.exit_code == 2
    assert "no whole backup" in " ".join(refused.output.split())
    assert call("backup", str(tmp_path / "copy"), *home).exit_code == 0
    other = ("--data", str(tmp_path), "--database", "postgresql://127.0.0.1:1/none")
    assert call("restore", str(tmp_path / "copy"), *other).exit_code == 2
    assert call("backup", str(tmp_path / "copy"), *home).exit_code == 2


def test_a_network_that_somebody_leads_is_not_replaced(
    call: Call, place: tuple[str, ...], database_url: str, tmp_path: Path
) -> None:
    assert call("init", *place).exit_code == 0
    assert call("backup", str(tmp_path / "copy"), *place).exit_code == 0
    engine = open_database(database_url)
    with engine.begin() as connection:
        connection.execute(update(tables.leadership).values(holder="h", until_at=2**52))
    engine.dispose()
    refused = call("restore", str(tmp_path / "copy"), *place, "--replace")
    assert refused.exit_code == 2
    assert "stop deciders" in " ".join(refused.output.split())


def test_units_and_recipes_name_commands_that_exist() -> None:
    known = {command.words.split()[0] for command in COMMANDS}
    for unit in (ROOT / "deploy" / "systemd").glob("*.service"):
        parsed = configparser.ConfigParser(strict=False, interpolation=None)
        parsed.optionxform = str  # type: ignore[assignment, method-assign]
        parsed.read(unit)
        words = parsed["Service"]["ExecStart"].split()
        assert words[0] == "/opt/intertie/bin/intertie"
        assert words[1] in known
    page = (ROOT / "docs" / "operating.md").read_text()
    named = re.findall(r"(?m)^intertie (\S+)", page)
    assert {"up", "init", "backup", "restore", "migrate"} <= set(named) <= known


def _doctor(call: Call, place: tuple[str, ...]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(call("doctor", *place, "--json").stdout)
    return found


def _no_leader(url: str) -> None:
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(update(tables.leadership).values(until_at=0))
    engine.dispose()


def test_the_unit_that_a_join_writes_treats_groups_and_jobs_as_the_shipped_one(
    tmp_path: Path,
) -> None:
    own, shipped = (configparser.RawConfigParser(strict=False) for _ in range(2))
    own.read_string(enrolling.unit(AgentSettings("https://n", tmp_path, "lab")))
    shipped.read(ROOT / "deploy" / "systemd" / "intertie-agent@.service")
    for key in ("Delegate", "KillMode"):
        assert own["Service"][key] == shipped["Service"][key]
