"""docs/access-standard.md says all that the code does, and nothing that it does not."""

import ast
import inspect
import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from intertie.agent import policy
from intertie.agent.enrolling import FILE, write_settings
from intertie.agent.settings import Raw, SettingsFile, read_settings
from intertie.catalogue.texts import keys
from intertie.wire import sync

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "access-standard.md").read_text(encoding="utf-8")
JOINING = (ROOT / "docs" / "joining.md").read_text(encoding="utf-8")
AGENTS_DOORS = ("agents", "exchange", "attempts", "blobs")
MODELS = {
    name: model
    for name, model in vars(sync).items()
    if inspect.isclass(model) and issubclass(model, BaseModel) and model.__module__ == sync.__name__
}


def section(title: str) -> str:
    level = title.split(maxsplit=1)[0]
    begin = PAGE.index(f"\n{title}\n") + len(title) + 2
    found = re.search(rf"(?m)^#{{1,{len(level)}}} ", PAGE[begin:])
    return PAGE[begin : begin + found.start()] if found else PAGE[begin:]


def named(title: str, column: int = 0) -> list[str]:
    """Return the names in one column of a section's table."""
    rows = [line.split("|")[1:-1] for line in section(title).splitlines() if line.startswith("| ")]
    cells = [row[column].strip() for row in rows]
    return [cell.strip("`") for cell in cells if cell.startswith("`")]


@pytest.mark.parametrize("name", MODELS)
def test_every_message_is_there_with_every_field(name: str) -> None:
    assert named(f"### {name}") == list(MODELS[name].model_fields)


def test_no_message_is_there_that_is_not_spoken() -> None:
    assert re.findall(r"(?m)^### (\w+)$", PAGE) == list(MODELS)


def test_every_cause_is_there() -> None:
    assert named("## Why a lease ended") == list(get_args(sync.CauseWord))


def test_every_reason_to_decline_is_there_and_has_its_text() -> None:
    source = inspect.getsource(policy.why_not)
    given = set(re.findall(r'"(\w+)"', source))
    reasons = named("## Why an agent declines")
    assert set(reasons) == given
    assert {f"refusal.{reason}" for reason in reasons} <= set(keys("en"))


def test_every_error_of_an_agent_s_doors_is_there_and_has_its_text() -> None:
    found = set()
    for room in AGENTS_DOORS:
        source = (ROOT / "src" / "intertie" / "api" / f"{room}.py").read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            is_wrong = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Wrong"
            if is_wrong and isinstance(node, ast.Call):
                found.add(tuple(ast.literal_eval(each) for each in node.args[:2]))
    rows = re.findall(r"(?m)^\| (\d{3}) \| `(\w+)` \|", section("## Errors"))
    errors = {(int(status), code) for status, code in rows}
    assert found <= errors
    assert {f"problem.{code}" for _, code in errors} <= set(keys("en"))


def test_every_setting_is_in_the_page_about_joining() -> None:
    told = re.findall(r"(?m)^\| `(\w+)` \|", JOINING)
    assert set(told) == set(SettingsFile.model_fields)
    assert len(told) == len(set(told))


def test_the_screens_of_the_page_about_joining_are_settings_that_hold(tmp_path: Path) -> None:
    screens = re.findall(r"(?s)```sh\n(.*?)```", JOINING)
    joins = [each.replace("\\\n", " ") for each in screens if "intertie join $JOIN" in each]
    engines = []
    for number, screen in enumerate(joins):
        line = next(each for each in screen.splitlines() if each.startswith("intertie join"))
        more = re.search(r"(?s)<<'END'\n(.*?)END", screen)
        words = shlex.split(line)
        given = {words[i][2:]: words[i + 1] for i in range(3, len(words), 2)}
        sets = [words[i + 1].partition("=") for i in range(3, len(words), 2) if words[i] == "--set"]
        told = {"network": "https://n", "pool": given["pool"]}
        told["engine"] = given.get("engine", "host")
        table = {key: Raw.of(value) for key, _, value in sets}
        folder = tmp_path / str(number)
        write_settings(folder, told, table)
        with (folder / FILE).open("a") as file:
            file.write(more[1] if more else "")
        settings = read_settings(folder / FILE)
        assert len(settings.table) == len(table)
        engines.append(settings.engine)
    assert engines == ["host", "slurm", "ray", "kubernetes"]
