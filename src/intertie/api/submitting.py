"""From a spec on the wire to the request that a round takes."""

from dataclasses import replace
from math import prod
from typing import Any

from intertie.api.bounds import NUMBER_MAX
from intertie.api.problems import Wrong
from intertie.model.ids import decode
from intertie.model.plain import to_plain
from intertie.model.policy import Policy
from intertie.model.refusal import Refusal, Relaxation
from intertie.model.request import Request
from intertie.wire.base import FieldError
from intertie.wire.jobspec import JobSpec


def request_of(spec: JobSpec, quote: int, policy: Policy) -> Request:
    """Return the request that a spec means; a field that cannot be meant is named."""
    _check_sizes(spec)
    _check_grid(spec, policy)
    for at, job in enumerate(spec.after):
        _number("job", job, f"spec.after.{at}")
    return spec.to_request(quote)


def plain_request(asked: Request) -> dict[str, Any]:
    """Return a request as plain data; the values of its tasks, of which there may be many, as is.

    They are tuples of texts, which JSON holds as lists.
    """
    plain: dict[str, Any] = to_plain(replace(asked, values=()))
    return plain | {"values": asked.values}


def quote_of(text: str | None) -> int:
    """Return the number of a quote, 0 for none."""
    return _number("quote", text, "quote") if text else 0


def missing_blob(sha: str) -> Wrong:
    """Return the refusal of a working folder that the project has not put."""
    return Wrong(422, "refused", refusal=Refusal("blob_missing", {"sha256": sha}))


def _check_sizes(spec: JobSpec) -> None:
    resources = spec.resources
    sizes = {
        "resources.cpus": resources.cpus,
        "resources.memory": resources.memory,
        "resources.disk": resources.disk,
        "expected": spec.expected,
        "deadline": spec.deadline or 0,
        "budget": spec.budget or 0,
        "latency_ms_max": spec.latency_ms_max or 0,
        **{f"data.{at}.size": each.size for at, each in enumerate(spec.data)},
    }
    for field, size in sizes.items():
        if size > NUMBER_MAX:
            raise _wrong(f"spec.{field}", "it is larger than anything the network could mean")


def _check_grid(spec: JobSpec, policy: Policy) -> None:
    """Refuse a grid by its count: a few names with many values each would fill the memory."""
    grid = spec.array.grid if spec.array else {}
    count = prod(len(choices) for choices in grid.values())
    if count > policy.tasks_max:
        raise Wrong(
            422,
            "refused",
            refusal=Refusal(
                "too_many_tasks",
                {"needs": min(count, NUMBER_MAX), "max": policy.tasks_max},
                Relaxation("fewer_tasks", {"to": policy.tasks_max}),
            ),
        )


def _number(noun: str, text: str, field: str) -> int:
    try:
        return decode(noun, text)
    except ValueError as error:
        raise _wrong(field, str(error)) from None


def _wrong(field: str, message: str) -> Wrong:
    return Wrong(422, "bad_spec", errors=[FieldError(field=field, message=message)])
