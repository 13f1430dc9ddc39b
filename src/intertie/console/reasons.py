"""Why pools do not take a job: one table, for what waits and for what was quoted."""

from collections.abc import Sequence

from intertie.console.problems import relaxation_of
from intertie.console.speech import DASH, Speech
from intertie.console.tables import Column, Row, Table
from intertie.wire.jobs import PoolRefusal
from intertie.wire.market import LostOfferView


def show_reasons(reasons: Sequence[PoolRefusal | LostOfferView], speech: Speech) -> None:
    """Show each pool's reason and the smallest change that would help."""
    columns = [
        Column("provider", speech.say("column.provider")),
        Column("pool", speech.say("column.pool")),
        Column("reason", speech.say("column.reason"), is_wrapped=True),
        Column("helps", speech.say("column.helps"), is_wrapped=True),
    ]
    rows: list[Row] = [
        {
            "provider": each.provider,
            "pool": each.pool,
            "reason": each.refusal.text or each.refusal.code,
            "helps": relaxation_of(each.refusal, DASH),
        }
        for each in reasons
    ]
    Table(columns, "").show(rows)
