"""From a spec on the wire to the request that a round takes."""

from intertie.api.problems import Wrong
from intertie.model.refusal import Refusal
from intertie.model.request import Request
from intertie.wire.base import FieldError
from intertie.wire.jobspec import JobSpec

# What a column holds with room to add and multiply: 2 ** 53 is also what JSON carries exactly.
_NUMBER_MAX = 2**53


def request_of(spec: JobSpec, quote: int) -> Request:
    """Return the request that a spec means; a field that cannot be meant is named."""
    _check_sizes(spec)
    for at, job in enumerate(spec.after):
        if not job.startswith("job-"):
            raise _wrong(f"spec.after.{at}", f"write the id of a job such as job-000c, not {job!r}")
    try:
        return spec.to_request(quote)
    except ValueError as error:
        raise _wrong("spec.after", str(error)) from None


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
        if size > _NUMBER_MAX:
            raise _wrong(f"spec.{field}", "it is larger than anything the network could mean")


def _wrong(field: str, message: str) -> Wrong:
    return Wrong(422, "bad_spec", errors=[FieldError(field=field, message=message)])
