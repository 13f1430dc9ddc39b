"""How the network runs, for its operators: `GET /v1/operations`."""

from fastapi import APIRouter
from sqlalchemy import Connection

from intertie.api.contract import problems
from intertie.api.door import TheDoor
from intertie.api.identity import Operator
from intertie.control.clock import now_ms
from intertie.control.leadership import led
from intertie.model.ids import encode
from intertie.model.states import PoolState
from intertie.model.units import MILLI
from intertie.store import reading
from intertie.store.operations import longest_silent, read_board, read_queues
from intertie.wire.operations import AgentState, CountsView, LeaderView, OperationsView

router = APIRouter()

AGENTS_MAX = 50


@router.get(
    "/operations",
    tags=["network"],
    summary="How the network runs",
    responses=problems(401, 403),
)
def see_operations(door: TheDoor, bearer: Operator) -> OperationsView:
    """Leader, rounds, queues, states, money, refusals, agents and webhooks; operators only."""
    with reading.snapshot(door.engine) as connection:
        number, round_at = reading.last_round(connection)
        leader, queues = led(connection), read_queues(connection)
        board, agents = read_board(connection), _agents(connection)
    now = now_ms()
    oldest_at = queues.inbox_oldest_at
    return OperationsView(
        now=now,
        leader=LeaderView(is_led=leader.left_ms > 0, term=leader.term, holder=leader.holder),
        round=number,
        round_at=round_at or None,
        inbox_waiting=queues.inbox_waiting,
        inbox_oldest_ms=0 if oldest_at is None else max(0, now - oldest_at),
        counts=CountsView.model_validate(board) if board else None,
        agents=agents,
        webhooks=queues.webhooks,
        webhook_events_behind=queues.webhook_events_behind,
    )


def _agents(connection: Connection) -> list[AgentState]:
    pools = longest_silent(connection, AGENTS_MAX)
    providers = reading.documents(connection, "provider", {pool.provider for pool in pools})
    keys = reading.documents(connection, "agent", [pool.id for pool in pools])
    return [
        AgentState(
            id=encode("agent", pool.id),
            provider=providers[pool.provider].name,
            pool=keys[pool.id].pool,
            state=PoolState(pool.state).name.lower(),
            seen_at=pool.seen_at or None,
            lent_cores=pool.lent_cpus_milli / MILLI,
        )
        for pool in pools
    ]
