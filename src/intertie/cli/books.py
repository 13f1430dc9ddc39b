"""Commands about the books: prove them, show them."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from intertie.cli import exits
from intertie.cli.session import Session


def check(session: Session) -> int:
    """Prove the books from the first posting; exit code 1 when they are wrong."""
    from intertie.cli.render.ledger import check_view

    found = session.network.ledger_check()
    session.show(found, lambda: check_view(found, session.lang))
    return exits.DONE if found.ok else exits.JOB_FAILED


def show(
    session: Session,
    job: Annotated[
        str | None, typer.Option("--job", help="cli.option.of_job", metavar="JOB")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="cli.option.limit", min=1)] = 20,
) -> None:
    """Show the accounts and the transactions; as JSON, the transactions."""
    from rich.console import Group

    from intertie.cli.render.ledger import accounts_table, transactions_table

    latest = session.network.transactions(limit=min(limit, 500), newest=True)
    wanted = (booked for booked in latest if job in (None, booked.job))
    booked = list(islice(wanted, limit))[::-1]
    accounts = [] if session.as_json else list(session.network.accounts())
    lang = session.lang
    session.show(
        booked,
        lambda: Group(accounts_table(accounts, lang), transactions_table(booked, accounts, lang)),
    )
