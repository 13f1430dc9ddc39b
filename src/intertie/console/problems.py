"""Errors and refusals as a person reads them: what is wrong, where, and what would help."""

from nicegui import ui

from intertie.client import IntertieError
from intertie.console.speech import Speech
from intertie.wire.base import Problem, RefusalBody


def show_problem(error: IntertieError, speech: Speech) -> None:
    """Show an error: its title in the visitor's language, its detail, its fields, its fix."""
    problem = error.problem
    with ui.column().classes("console-problem").props("role=alert"):
        ui.label(title_of(problem, speech)).style("font-weight: 600")
        if problem.detail:
            ui.label(problem.detail)
        for fault in problem.errors:
            with ui.row().classes("items-baseline no-wrap").style("gap: .6rem"):
                ui.label(fault.field).style("font-family: monospace; font-weight: 600")
                ui.label(fault.message)
        if problem.refusal is not None:
            for line in refusal_lines(problem.refusal):
                ui.label(line)


def title_of(problem: Problem, speech: Speech) -> str:
    """Return the title of a problem; what the SDK itself found has its text in the catalogue."""
    for group in ("problem", "console.problem"):
        known = speech.word(group, problem.code)
        if problem.code and known != problem.code:
            return known
    return problem.title or problem.code


def refusal_lines(refusal: RefusalBody) -> list[str]:
    """Return the reason, and the smallest change that would help if there is one."""
    lines = [refusal.text or refusal.code]
    if refusal.relaxation is not None:
        lines.append(refusal.relaxation.text or refusal.relaxation.code)
    return lines


def relaxation_of(refusal: RefusalBody | None, otherwise: str) -> str:
    """Return the smallest change that would help."""
    if refusal is None or refusal.relaxation is None:
        return otherwise
    return refusal.relaxation.text or refusal.relaxation.code
