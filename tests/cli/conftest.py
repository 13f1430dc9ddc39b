"""The command with a scripted network behind it."""

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from intertie.cli import session
from intertie.cli.commands import build
from intertie.cli.main import COMMANDS
from tests.client.answers import Answers

Call = Callable[..., Result]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    scripted = Answers()
    monkeypatch.setattr(session, "connect", lambda options: scripted.client(lang=options.lang))
    return scripted


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return what calls the command with words and returns exit code, stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words: str, lang: str = "en") -> Result:
        return CliRunner().invoke(build(COMMANDS, lang), list(words), prog_name="intertie")

    return run
