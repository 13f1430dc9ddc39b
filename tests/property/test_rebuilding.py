"""A World that is loaded from the store equals the one that decided, whatever happened."""

from hypothesis import HealthCheck, given, settings
from sqlalchemy import Engine, event, insert

from intertie.control.bootstrap import open_network
from intertie.cycle.river import flow
from intertie.simulator.recording import Recording
from intertie.store import tables
from intertie.store.committing import commit_round
from intertie.store.loading import load_world, transactions, waiting_inbox
from intertie.world.world import World
from tests.property.scripts import Act, Life, lives
from tests.property.test_laws import AS_FOUND
from tests.support.databases import Databases

LOADS = 4


def commit_all(engine: Engine, recording: Recording) -> World:
    """Commit every round of a run, compare at some instants, and return the incremental World."""
    world = World()
    every = max(1, len(recording.rounds) // LOADS)
    for number, each in enumerate(recording.rounds, start=1):
        inbox = list(each.inbox)
        with engine.begin() as connection:
            for row in inbox:
                columns = vars(row) | {"body": "{}", "body_hash": ""}
                connection.execute(insert(tables.inbox).values(**columns))
            changes = flow(world, inbox, recording.policy, each.at)
            commit_round(connection, number, each.at, inbox, changes, world.balances, 0)
        if number % every == 0:
            assert_same(world, load_world(engine))
    return world


def assert_same(world: World, rebuilt: World) -> None:
    """Assert that two Worlds hold the same rows, documents, balances and counters."""
    again = rebuilt.tables()
    for noun, table in world.tables().items():
        assert list(table.rows()) == list(again[noun].rows()), noun
    assert world.documents == rebuilt.documents
    assert world.balances == rebuilt.balances
    assert world.next == rebuilt.next


@settings(
    phases=AS_FOUND,
    max_examples=settings.default.max_examples // 12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lives)
def test_a_rebuilt_world_equals_the_incremental_one(
    databases: Databases, script: list[Act]
) -> None:
    life = Life()
    life.live(script)
    engine = hasty(databases.make())
    try:
        assert_same(commit_all(engine, life.network.recording), load_world(engine))
        with engine.connect().execution_options(is_read=True) as connection:
            assert waiting_inbox(connection, 1) == []
            booked = [t for changes in life.network.changes for t in changes.transactions]
            assert transactions(connection) == booked
    finally:
        engine.dispose()


def hasty(url: str) -> Engine:
    """Return a network's database that does not wait for the disk: nobody pulls the plug here."""
    engine = open_network(url)
    engine.dispose()
    off = {"sqlite": "PRAGMA synchronous=OFF", "postgresql": "SET synchronous_commit = off"}
    statement = off[engine.dialect.name]
    event.listen(engine, "connect", lambda raw, _: raw.execute(statement).close())
    return engine
