"""`intertie shares`: how everybody stands in the share tree, and what the operator sets there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from intertie.cli.session import Session

if TYPE_CHECKING:
    from intertie.wire.shares import ShareView

Member = Annotated[str, typer.Argument(help="cli.option.member", metavar="MEMBER")]
CohortName = Annotated[str, typer.Argument(help="cli.option.cohort_name", metavar="NAME")]
Into = Annotated[str | None, typer.Option("--in", help="cli.option.into", metavar="COHORT|none")]
Weight = Annotated[int | None, typer.Option("--weight", help="cli.option.weight", min=1)]
Floor = Annotated[str | None, typer.Option("--floor", help="cli.option.floor", metavar="5%")]
Quota = Annotated[
    list[str] | None, typer.Option("--quota", help="cli.option.quota", metavar="cpus=64")
]
Borrow = Annotated[
    list[str] | None, typer.Option("--borrow", help="cli.option.borrow", metavar="cpus=8")
]
Lend = Annotated[list[str] | None, typer.Option("--lend", help="cli.option.lend", metavar="cpus=8")]
NoQuota = Annotated[bool, typer.Option("--no-quota", help="cli.option.no_quota")]


def show(session: Session) -> None:
    """Show the share tree."""
    from rich.console import Group

    from intertie.cli.render.shares import evenness_line, shares_tables

    found = session.network.shares()
    tables = shares_tables(found.shares, session.lang)
    session.show(found, lambda: Group(*tables, evenness_line(found, session.lang)))


def add(
    session: Session,
    name: CohortName,
    into: Into = None,
    weight: Weight = None,
    floor: Floor = None,
) -> None:
    """Open a cohort."""
    told = _place(session, into, weight, floor)
    _show(session, session.network.create_cohort(name, **told))


def set_share(
    session: Session,
    member: Member,
    into: Into = None,
    weight: Weight = None,
    floor: Floor = None,
    quota: Quota = None,
    borrow: Borrow = None,
    lend: Lend = None,
    no_quota: NoQuota = False,
) -> None:
    """Set a project's or a cohort's weight, cohort, floor or quota; what is not named stays."""
    told = _place(session, into, weight, floor)
    if quota or borrow or lend or no_quota:
        told["quota"] = _quota(session, quota or (), borrow or (), lend or ())
    _show(session, session.network.set_share(member, **told))


def _place(
    session: Session, into: str | None, weight: int | None, floor: str | None
) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if into is not None:
        told["cohort"] = "" if into == "none" else session.network.cohort(into)
    if weight is not None:
        told["weight"] = weight
    if floor is not None:
        told["floor_ppm"] = _ppm(session, floor)
    return told


def _ppm(session: Session, floor: str) -> int:
    from decimal import Decimal, InvalidOperation

    try:
        return int(Decimal(floor.strip().removesuffix("%")) * 10_000)
    except (InvalidOperation, ValueError, OverflowError):
        told = session.text("cli.shares.bad_floor")
        raise typer.BadParameter(told, param_hint="--floor") from None


def _quota(session: Session, quota: Any, borrow: Any, lend: Any) -> dict[str, Any]:
    """Return limits by resource as the contract takes them."""
    found: dict[str, Any] = {}
    devices: dict[str, dict[str, str]] = {}
    for part, said in (("quota", quota), ("borrow", borrow), ("lend", lend)):
        for limit in said:
            resource, equals, amount = limit.partition("=")
            if not (resource and equals and amount):
                told = session.text("cli.shares.bad_limit")
                raise typer.BadParameter(told, param_hint=f"--{part}")
            here = found if resource in ("cpus", "memory") else devices
            here.setdefault(resource, {})[part] = amount
    return {**found, "devices": devices}


def _show(session: Session, share: ShareView) -> None:
    from rich.console import Group

    from intertie.cli.render.shares import shares_tables

    session.show(share, lambda: Group(*shares_tables([share], session.lang)))
