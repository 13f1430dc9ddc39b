"""The operator's page of projects: wallets, what is set aside, what was used."""

from intertie.client import Intertie
from intertie.console.frame import Frame
from intertie.console.parts import heading
from intertie.console.speech import Speech, credits_of, number_of
from intertie.console.tables import Column, Row, Table, by_number
from intertie.wire.parties import ProjectView


def build(frame: Frame) -> None:
    """Build the page."""
    heading(frame.say("projects.title"))
    table = Table(_columns(frame.speech), frame.say("projects.none"))

    def show(found: list[ProjectView]) -> None:
        table.show([_row(project, frame.speech) for project in found])

    def load(network: Intertie) -> list[ProjectView]:
        return list(network.projects())

    frame.live(load, show)


def _columns(speech: Speech) -> list[Column]:
    say = speech.say
    return [
        Column("name", say("column.project")),
        Column("state", say("column.state")),
        Column("wallet", say("column.wallet"), is_number=True),
        Column("held", say("column.held"), is_number=True),
        Column("spent", say("column.spent"), is_number=True),
        Column("used", say("column.used_su"), is_number=True),
        Column("weight", say("column.weight"), is_number=True),
    ]


def _row(project: ProjectView, speech: Speech) -> Row:
    return {
        "name": project.name,
        "state": speech.say("projects.blocked" if project.is_blocked else "projects.open"),
        "wallet": by_number(project.wallet_micro, credits_of(project.wallet_micro)),
        "held": by_number(project.held_micro, credits_of(project.held_micro)),
        "spent": by_number(project.spent_micro, credits_of(project.spent_micro)),
        "used": by_number(project.used_su, number_of(project.used_su, 6)),
        "weight": by_number(project.weight, str(project.weight)),
    }
