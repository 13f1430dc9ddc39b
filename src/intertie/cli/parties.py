"""Commands about providers and projects: who is there, and what the operator may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from intertie.cli.session import Session, as_json

if TYPE_CHECKING:
    from intertie.wire.parties import Created, ProjectView

Name = Annotated[str, typer.Argument(help="cli.option.party_name", metavar="NAME")]
Project = Annotated[str, typer.Argument(help="cli.option.project", metavar="PROJECT")]
Provider = Annotated[str, typer.Argument(help="cli.option.provider_name", metavar="PROVIDER")]


def providers_list(session: Session) -> None:
    """Show every provider with its pools."""
    from rich.console import Group

    from intertie.cli.render.market import not_enforced_lines, providers_table

    found = list(session.network.providers())
    lang = session.lang
    session.show(
        found, lambda: Group(providers_table(found, lang), not_enforced_lines(found, lang))
    )


def providers_add(session: Session, name: Name) -> None:
    """Register a provider; prints the one-time token for its agent."""
    _show_provider(session, session.network.create_provider(name))


def providers_token(session: Session, provider: Provider) -> None:
    """Make one more one-time token for an agent of a provider."""
    _show_provider(session, session.network.create_enrol_token(provider))


def projects_list(session: Session) -> None:
    """Show every project with its wallet."""
    from intertie.cli.render.ledger import projects_table

    found = list(session.network.projects())
    session.show(found, lambda: projects_table(found, session.lang))


def projects_add(
    session: Session,
    name: Name,
    weight: Annotated[int, typer.Option("--weight", help="cli.option.weight", min=1)] = 1,
    trial: Annotated[str, typer.Option("--trial", help="cli.option.trial", metavar="100")] = "0",
) -> None:
    """Open a project; prints its token."""
    created = session.network.create_project(name, weight, trial)
    _show_created(session, created, "cli.projects.added")


def projects_top_up(
    session: Session,
    project: Project,
    amount: Annotated[str, typer.Argument(help="cli.option.amount", metavar="AMOUNT")],
) -> None:
    """Put credit into a project's wallet."""
    _show_balance(session, session.network.top_up(project, amount))


def projects_block(
    session: Session,
    project: Project,
    lift: Annotated[bool, typer.Option("--lift", help="cli.option.lift")] = False,
) -> None:
    """Block a project, or lift the block."""
    found = session.network.block(project, not lift)
    key = "cli.projects.now_blocked" if found.is_blocked else "cli.projects.now_free"
    session.show(found, lambda: session.text(key, project=found.name))


def _show_provider(session: Session, created: Created) -> None:
    from intertie.cli.listening import tell_join

    if session.as_json:
        print(as_json(created))
        return
    network = session.network
    pin = (network.url, created.enrol_token or "", network.fingerprint)
    tell_join(session, "cli.providers.join", *pin, id=created.id, name=created.name)


def _show_created(session: Session, created: Created, key: str) -> None:
    session.show(
        created,
        lambda: session.text(key, id=created.id, name=created.name, token=created.token),
    )


def _show_balance(session: Session, project: ProjectView) -> None:
    from intertie.cli.render.ledger import balance_line

    session.show(project, lambda: balance_line(project, session.lang))
