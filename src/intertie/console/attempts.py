"""The attempts at a job's tasks: where each ran, how it ended, what the meters say."""

from intertie.console.parts import section
from intertie.console.speech import DASH, Speech, credits_of, number_of
from intertie.console.tables import Cell, Column, Row, Table, by_number
from intertie.wire.jobs import AttemptView, TaskView


def show_attempts(speech: Speech, tasks: list[TaskView]) -> None:
    """Show every attempt, the tasks in order."""
    say = speech.say
    section(say("job.attempts"))
    columns = [
        Column("task", say("column.task"), is_number=True),
        Column("attempt", say("column.attempt"), is_number=True),
        Column("provider", say("column.provider")),
        Column("pool", say("column.pool")),
        Column("node", say("column.node")),
        Column("state", say("column.state")),
        Column("cause", say("column.cause")),
        Column("exit", say("column.exit_code"), is_number=True),
        Column("agent", say("column.agent_s"), is_number=True),
        Column("network", say("column.network_s"), is_number=True),
        Column("site", say("column.site_s"), is_number=True),
        Column("amount", say("column.amount"), is_number=True),
        Column("image", say("column.image")),
        Column("placed", speech.clock("column.placed_at")),
        Column("expected", speech.clock("column.expected_start_at")),
        Column("started", speech.clock("column.started_at")),
        Column("ended", speech.clock("column.ended_at")),
    ]
    rows = [
        _row(task, number, attempt, speech)
        for task in tasks
        for number, attempt in enumerate(task.attempts, 1)
    ]
    Table(columns, say("job.no_attempts")).show(rows)


def _row(task: TaskView, number: int, attempt: AttemptView, speech: Speech) -> Row:
    ended = DASH if attempt.exit_code is None else str(attempt.exit_code)
    if attempt.signal:
        ended = speech.say("value.signal", signal=attempt.signal)
    return {
        "task": by_number(task.index, str(task.index)),
        "attempt": by_number(number, str(number)),
        "provider": attempt.provider,
        "pool": attempt.pool,
        "node": attempt.site_node or attempt.node,
        "state": speech.word("state", attempt.state),
        "cause": speech.word("cause", attempt.cause),
        "exit": by_number(attempt.exit_code, ended),
        "agent": by_number(attempt.agent_s, number_of(attempt.agent_s, 3)),
        "network": by_number(attempt.network_s, number_of(attempt.network_s, 3)),
        "site": by_number(attempt.site_s, number_of(attempt.site_s, 3)),
        "amount": by_number(attempt.amount_micro, credits_of(attempt.amount_micro)),
        "image": attempt.image or DASH,
        "expected": Cell(speech.moment(attempt.expected_start_at), attempt.expected_start_at or 0),
        "placed": Cell(speech.moment(attempt.placed_at), attempt.placed_at),
        "started": Cell(speech.moment(attempt.started_at), attempt.started_at or 0),
        "ended": Cell(speech.moment(attempt.ended_at), attempt.ended_at or 0),
    }
