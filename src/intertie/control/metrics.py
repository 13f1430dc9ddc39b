"""What each process counts and measures, for Prometheus; docs/operations.md says what each means.

Counting is a call on one of these values where the thing happens. Whoever starts a process lets
them be read: a door by `GET /metrics`, any process by `serve_metrics` on loopback.
"""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    start_http_server,
)
from sqlalchemy import Engine
from sqlalchemy import event as sql_event
from sqlalchemy.engine import ExceptionContext

# When each series began is of no use to anybody, and would double what is read.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
ProcessCollector(namespace="intertie", registry=REGISTRY)

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


def _counter(name: str, says: str, *labels: str) -> Counter:
    return Counter(f"intertie_{name}", says, labels, registry=REGISTRY)


def _gauge(name: str, says: str, *labels: str) -> Gauge:
    return Gauge(f"intertie_{name}", says, labels, registry=REGISTRY)


def _histogram(name: str, says: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
    return Histogram(f"intertie_{name}", says, labels, buckets=buckets, registry=REGISTRY)


# Doors.
REQUESTS = _counter("requests_total", "Requests answered", "method", "route", "status")
REQUEST_SECONDS = _histogram(
    "request_seconds", "From a request's head to its answer's end", "route", buckets=_SLOW
)
OPEN = _gauge("requests_open", "Requests being answered: syncs, streams, others", "kind")
RECEIVED = _counter("received_bytes_total", "Bytes of bodies that came in", "kind")
SENT = _counter("sent_bytes_total", "Bytes of bodies that went out", "kind")
DOOR_REFUSALS = _counter("door_refusals_total", "Requests answered with a no", "code")
APPENDED = _counter("appended_rows_total", "Inbox rows appended", "kind")
ROUND_WAIT_SECONDS = _histogram(
    "round_wait_seconds", "From appending a row to its round", "kind", buckets=_SLOW
)
ROUND_WAITS_GIVEN_UP = _counter("round_waits_given_up_total", "Rows that no round took in time")
IS_DRAINING = _gauge("door_is_draining", "1 once the door was told to end")

# The decider's rounds.
ROUNDS = _counter("rounds_total", "Rounds committed")
ROUND_ROWS = _counter("round_rows_total", "Inbox rows that rounds took")
ROUND_CHANGES = _counter("round_changes_total", "What rounds wrote", "kind")
DECIDE_SECONDS = _histogram("round_decide_seconds", "Deciding one round", buckets=_FAST)
COMMIT_SECONDS = _histogram("round_commit_seconds", "Committing one round", buckets=_FAST)
STEP_SECONDS = _counter("step_seconds_total", "Time spent in each step of the river", "step")
ROUNDS_FAILED = _counter("rounds_failed_total", "Rounds that were not committed", "reason")
ROUND_REFUSALS = _counter("round_refusals_total", "Rows that rounds answered with a no", "code")
DISPUTES = _counter("disputes_total", "Attempts whose two meters differ by too much")
EXPECTED_STARTS = _counter(
    "expected_starts_total",
    "Expected starts that were shown, by what came of them: within, early or late",
    "verdict",
)
JOB_EVENTS = _counter("job_events_total", "What happened to jobs", "code")

# What the leader sees, counted every few seconds.
IS_LEADER = _gauge("is_leader", "1 while this decider leads")
TERM = _gauge("term", "The term under which this decider leads, or last led")
TAKEOVERS = _counter("takeovers_total", "Times that this decider began to lead")
INBOX_WAITING = _gauge("inbox_waiting_rows", "Inbox rows that no round has taken")
INBOX_OLDEST = _gauge("inbox_oldest_seconds", "Age of the oldest of them")
JOBS = _gauge("jobs", "Jobs in the World", "state")
TASKS = _gauge("tasks", "Tasks in the World", "state")
LEASES = _gauge("leases", "Leases in the World", "state")
POOLS = _gauge("pools", "Pools", "state")
LENT_CORES = _gauge("lent_cores", "Cores that owners lend now, in all pools")
HELD_CORES = _gauge("held_cores", "Cores that leases hold now, in all pools")
POOL_LENT_CORES = _gauge("pool_lent_cores", "The same for each of the largest pools", "pool")
POOL_HELD_CORES = _gauge("pool_held_cores", "The same for each of the largest pools", "pool")
BALANCE = _gauge("balance_microcredits", "Money by what its account is for", "account")
WEBHOOKS = _gauge("webhooks", "Webhooks: active, failing, ended", "state")
WEBHOOK_BEHIND = _gauge("webhook_events_behind", "Events that the slowest webhook has not had")

DATABASE_ERRORS = _counter("database_errors_total", "Statements that the database failed", "error")


def serve_metrics(port: int) -> Callable[[], None]:
    """Let this process's metrics be read at `http://127.0.0.1:port/metrics`; return what ends it.

    On loopback alone: they are nobody else's business, and need no token there.
    """
    server, thread = start_http_server(port, "127.0.0.1", REGISTRY)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end


def exposition() -> bytes:
    """Return every metric as Prometheus reads it."""
    return generate_latest(REGISTRY)


def watch_database(engine: Engine) -> None:
    """Count what goes wrong between this process and its database."""
    sql_event.listen(engine, "handle_error", _note_error)


def _note_error(context: ExceptionContext) -> None:
    DATABASE_ERRORS.labels(type(context.original_exception).__name__).inc()
