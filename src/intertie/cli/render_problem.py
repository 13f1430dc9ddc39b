"""Problems as lines for a person: what is wrong, where, and what would help."""

from rich.text import Text

from intertie.catalogue.texts import has_text, text
from intertie.cli.render_base import refusal_text, relaxation_text
from intertie.cli.session import title_of
from intertie.wire.base import Problem


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
        helps = relaxation_text(problem.refusal.relaxation, lang)
        lines.append(f"\n  → {helps}" if helps else "", style="not bold green")
    return lines
