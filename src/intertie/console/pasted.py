"""A job spec as it is pasted into a page: YAML text that may name nothing on this machine."""

from typing import Any

import yaml

from intertie.client import SpecError
from intertie.client.errors import problem_of
from intertie.client.specs import checked
from intertie.wire.base import FieldError
from intertie.wire.jobspec import JobSpec

TEXT_MAX = 64 * 1024

EXAMPLE = """\
name: hello
script: |
  echo "hello from task $INTERTIE_TASK_INDEX on $(uname -n)"
  for step in 1 2 3 4 5; do echo "step $step"; sleep 1; done
  echo "sum $((20 + 22))" > answer.txt
resources:
  cpus: 0.5
  memory: 128MiB
array:
  count: 2
time_limit: 2m
expected: 6s
results: [answer.txt]
budget: 1.00
"""


class _PlainLoader(yaml.SafeLoader):
    """YAML without anchors: a few lines of them can stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("anchors and aliases (&, *) are not taken here")
        return super().compose_node(parent, index)


def read_pasted(text: str) -> JobSpec:
    """Return a checked spec; raise SpecError or BadInput that names each wrong field and its fix.

    The SDK would take a `workdir` for a folder of the machine it runs on. Here that is the
    server, so only the hash of an uploaded folder passes.
    """
    if len(text) > TEXT_MAX:
        raise _wrong(f"it is longer than {TEXT_MAX // 1024} KiB; a spec is a short text")
    data = _parsed(text)
    if not isinstance(data, dict) or not all(isinstance(name, str) for name in data):
        raise _wrong("write fields such as `command: [python3, train.py]`")
    named = data.get("workdir") or ""
    if not isinstance(named, str) or (named and (len(named) != 64 or "/" in named)):
        message = "a page cannot read your folders: run `intertie run FILE`, or give its hash"
        raise _wrong("1 field is wrong", [FieldError(field="workdir", message=message)])
    return checked(JobSpec, data)


def _parsed(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_PlainLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _wrong(f"it is not valid YAML{where}: {getattr(error, 'problem', error)}") from None
    except RecursionError:
        raise _wrong("it is nested too deeply") from None
    except ValueError as error:
        raise _wrong(f"it is not valid YAML: {error}") from None


def _wrong(detail: str, errors: list[FieldError] | None = None) -> SpecError:
    return SpecError(problem_of("bad_spec", "The job spec is wrong", detail, errors, status=422))
