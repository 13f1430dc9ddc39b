"""Commands about webhooks: where a project has its events posted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from intertie.cli.session import Session

if TYPE_CHECKING:
    from rich.table import Table

    from intertie.wire.webhooks import WebhookView

Webhook = Annotated[str, typer.Argument(help="cli.option.webhook", metavar="WEBHOOK")]
Address = Annotated[str, typer.Argument(help="cli.option.webhook_url", metavar="URL")]
Codes = Annotated[
    list[str] | None, typer.Option("--event", help="cli.option.webhook_event", metavar="CODE")
]


def add(session: Session, address: Address, event: Codes = None) -> None:
    """Have events posted to an address; prints the secret."""
    made = session.network.create_webhook(address, event or ())
    values = {"id": made.id, "secret": made.secret}
    session.show(made, lambda: session.text("cli.webhooks.added", **values))


def show(session: Session) -> None:
    """Show webhooks with their state and last error."""
    found = list(session.network.webhooks())
    if not found:
        session.say("cli.webhooks.none")
    if found or session.as_json:
        session.show(found, lambda: _table(found, session.lang))


def remove(session: Session, webhook: Webhook) -> None:
    """Remove a webhook."""
    removed = session.network.remove_webhook(webhook)
    session.show(removed, lambda: session.text("cli.webhooks.removed", id=webhook))


def test(session: Session, webhook: Webhook) -> int:
    """Send one test message; the exit code says whether it was taken."""
    from intertie.cli.exits import DONE, JOB_FAILED

    ping = session.network.test_webhook(webhook)
    key = "cli.webhooks.delivered" if ping.is_delivered else "cli.webhooks.not_delivered"
    values = {"id": webhook, **ping.model_dump()}
    session.show(ping, lambda: session.text(key, **values))
    return DONE if ping.is_delivered else JOB_FAILED


def _table(found: list[WebhookView], lang: str) -> Table:
    from intertie.catalogue.texts import text
    from intertie.cli.render.base import Columns, short_moment, state_text

    columns = Columns(lang, text(lang, "cli.webhooks.title"))
    columns.word("id", fixed=True).word("address").word("codes").word("state")
    columns.word("next_try", fixed=True).word("last_error")
    return columns.rows(
        (
            each.id,
            each.url,
            "\n".join(each.codes) or text(lang, "cli.webhooks.all"),
            state_text(each.state, lang),
            short_moment(each.next_try_at) if each.next_try_at else "–",
            each.last_error or "–",
        )
        for each in found
    )
