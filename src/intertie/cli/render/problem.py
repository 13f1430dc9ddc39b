"""Problems as lines for a person: what is wrong, where, and what would help."""

from rich.text import Text

from intertie.catalogue.texts import DEFAULT, has_text, text
from intertie.cli.render.base import refusal_text, relaxation_text
from intertie.client import IntertieError
from intertie.client.errors import Fault
from intertie.wire.base import FieldError, Problem


def problem_lines(problem: Problem, lang: str) -> Text:
    """Return the title in red, the details, each wrong field, the reason and the way out."""
    title = title_of(problem, lang)
    lines = Text(title, style="bold red")
    hint = f"cli.hint.{problem.code}"
    detail = text(lang, hint) if has_text(lang, hint) else problem.detail
    if detail and detail != title:
        lines.append(f": {detail}", style="not bold default")
    for error in problem.errors:
        lines.append(f"\n  {error.field}", style="not bold cyan")
        lines.append(f": {error.message}", style="not bold default")
    if problem.refusal is not None:
        lines.append(f"\n  {refusal_text(problem.refusal, lang)}", style="not bold default")
        for each in problem.pools if len(problem.pools) > 1 else ():
            lines.append(f"\n    {each.pool}: ", style="not bold cyan")
            lines.append(refusal_text(each.refusal, lang), style="not bold default")
        helps = relaxation_text(problem.refusal.relaxation, lang)
        lines.append(f"\n  → {helps}" if helps else "", style="not bold green")
    return lines


def title_of(problem: Problem, lang: str) -> str:
    """Return a problem's title in the language of the command, where the catalogue has it."""
    key = f"problem.{problem.code}"
    return text(lang, key) if problem.code and has_text(lang, key) else problem.title


def spoken_faults(error: IntertieError, lang: str) -> Problem:
    """Return the problem with what the SDK found wrong said in the language, where it can be."""
    faults = getattr(error, "faults", ())
    if lang == DEFAULT or len(faults) != len(error.errors):
        return error.problem
    spoken = [
        FieldError(field=was.field, message=_fault_text(fault, was.message, lang))
        for was, fault in zip(error.errors, faults, strict=True)
    ]
    return error.problem.model_copy(update={"errors": spoken})


def _fault_text(fault: Fault, otherwise: str, lang: str) -> str:
    try:
        return text(lang, f"fault.{fault.kind}", **fault.values)
    except KeyError:
        return otherwise
