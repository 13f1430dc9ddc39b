"""The agent's book: what it takes as news of what the engine sees."""

from dataclasses import replace
from pathlib import Path

from intertie.agent.book import Book
from intertie.agent.journal import Journal
from intertie.engines.protocol import Observed

NAME = ("lease-0001", 1)
OVER = Observed(*NAME, "over", "exited", exit_code=0, started_at=5, ran_ms=7, is_final=False)


def test_the_sites_account_of_an_attempt_that_is_over_is_news(tmp_path: Path) -> None:
    book = Book(Journal(tmp_path / "journal.jsonl"))
    assert book.see([OVER]) == {NAME}
    record = book.records[NAME]
    assert not record.holds_room
    assert not record.is_final
    assert book.see([OVER]) == set()
    assert book.see([replace(OVER, site_ms=1000, is_final=True)]) == {NAME}
    assert record.is_final
    assert record.observed("ended", []).site_ms == 1000
