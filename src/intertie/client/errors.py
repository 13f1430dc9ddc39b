"""What the SDK raises: one named error for each kind of "no", each with the problem as a value."""

from dataclasses import dataclass
from typing import Any

from intertie.wire.base import FieldError, Problem, RefusalBody


class IntertieError(Exception):
    """The network said no, or could not be asked. `problem` is what it said (RFC 9457)."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem

    @property
    def status(self) -> int:
        """The HTTP status; 0 where no answer came or none was asked for."""
        return self.problem.status

    @property
    def code(self) -> str:
        return self.problem.code

    @property
    def errors(self) -> list[FieldError]:
        return self.problem.errors

    @property
    def refusal(self) -> RefusalBody | None:
        return self.problem.refusal

    def __str__(self) -> str:
        return readable(self.problem)


@dataclass(frozen=True)
class Fault:
    """One wrong field by the kind of its fault, for whoever speaks another language than ours."""

    field: str
    kind: str
    values: dict[str, Any]


class BadInput(IntertieError):
    """Something in the request is wrong; `errors` names each field and its fix."""

    faults: tuple[Fault, ...] = ()


class SpecError(BadInput):
    """A job spec is wrong. Nothing was sent."""


class Refused(IntertieError):
    """The network will not do it; `refusal` says why and which smallest change would help."""


class NotFound(IntertieError):
    """There is no such job, file, quote, project or provider for this token."""


class NoAccess(IntertieError):
    """The token is missing, unknown, or may not do this."""


class Unreachable(IntertieError):
    """The network did not answer, or is not ready. Asking again later is safe."""


class WaitTimeout(IntertieError):
    """The job went on longer than the caller would wait. It runs on."""


def error_of(problem: Problem) -> IntertieError:
    """Return the named error for a problem."""
    if problem.status in (0, 429, 502, 503, 504):
        return Unreachable(problem)
    if problem.refusal is not None:
        return Refused(problem)
    if problem.status in (401, 403):
        return NoAccess(problem)
    if problem.status == 404:
        return NotFound(problem)
    if 400 <= problem.status < 500:
        return BadInput(problem)
    return IntertieError(problem)


def problem_of(
    code: str, title: str, detail: str = "", errors: list[FieldError] | None = None, status: int = 0
) -> Problem:
    """Return a problem that the SDK itself found."""
    return Problem(
        type=f"/problems/{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        errors=errors or [],
    )


def problem_from(status: int, content_type: str, body: Any) -> Problem:
    """Return the problem in an answer; whatever stands between may answer without one."""
    if isinstance(body, dict) and "title" in body:
        return Problem.model_validate({"type": "about:blank", "status": status} | body)
    kind = content_type.partition(";")[0] or "an empty body"
    return problem_of("", f"The answer was HTTP {status} with {kind}", status=status)


def readable(problem: Problem) -> str:
    """Return a problem as lines for a person: what is wrong, where, and what would help."""
    refusal = problem.refusal
    lines = [f"{problem.title}: {problem.detail}" if problem.detail else problem.title]
    lines += [f"  {error.field}: {error.message}" for error in problem.errors]
    if refusal is not None:
        lines.append(f"  {refusal.text or refusal.code}")
        if refusal.relaxation is not None:
            lines.append(f"  {refusal.relaxation.text or refusal.relaxation.code}")
    return "\n".join(lines)
