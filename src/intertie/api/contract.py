"""The OpenAPI document beyond what types say: problems of each route, examples, who may knock."""

import re
from functools import cache
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.routing import compile_path

from intertie.api.examples import EXAMPLES
from intertie.wire.base import Problem
from intertie.wire.sync import Sync

PROBLEM_TYPE = "application/problem+json"
Responses = dict[int | str, dict[str, Any]]

TAGS = [
    {"name": "network", "description": "Health, and who the bearer of a token is."},
    {"name": "market", "description": "Offers, and quotes that hold until a stated instant."},
    {"name": "jobs", "description": "Jobs from submission to receipt."},
    {"name": "ledger", "description": "Accounts, transactions and the proof of the books."},
    {"name": "parties", "description": "Projects and providers."},
    {"name": "agents", "description": "The access standard: how a provider joins."},
    {"name": "webhooks", "description": "Who is told what happens, and how it went."},
    {"name": "bulk", "description": "Content by its hash, and what attempts print."},
]
ABOUT = """The open compute network. Ids look like `job-000c`; money is whole micro-credits
(1 000 000 = 1 credit); instants are milliseconds since the Unix epoch. Errors are
`application/problem+json`; a refusal says why and names the smallest change that would help.
`Accept-Language: en` or `zh-CN` chooses the language of texts."""

_SCHEMAS = "#/components/schemas/"
_PROBLEM = {"$ref": f"{_SCHEMAS}Problem"}
_WHY = {
    401: "The token, the signature or the enrolment token is missing or unknown.",
    403: "The token may not do that; the detail says which role is needed.",
    404: "There is no such thing, or it is another's.",
    409: "It conflicts with what is there: a key used before, an offset, a newer session.",
    410: "The agent has left the network: its key was struck off.",
    413: "The body is too large; the detail says how large it may be.",
    416: "The range is not there.",
    422: "A field is wrong, or the network refuses and says why.",
    500: "The network made a mistake; the detail has the number under which it was noted.",
    429: "The project asks faster than its share; `Retry-After` says when to come again.",
    503: "No round came in time, or too much is asked. Asking again with the same key is safe.",
}


def problems(*statuses: int) -> Responses:
    """Return the error answers of a route for its documentation."""
    return {
        status: {"model": Problem, "description": _WHY.get(status, HTTPStatus(status).phrase)}
        for status in (*statuses, 500)
    }


def signed_body(model: str) -> dict[str, Any]:
    """Return what documents a route that reads and checks an agent's signed body by itself."""
    body = {"schema": {"$ref": f"{_SCHEMAS}{model}"}}
    agent = {"name": "agent", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "parameters": [agent],
        "requestBody": {"required": True, "content": {"application/json": body}},
        "security": [{"signature": []}],
    }


def stream_or(kind: str) -> Responses:
    """Return the answer of a route that tells all at once, or streams it with `follow`."""
    described = {"schema": {"type": "string"}} if kind == "text/plain" else {}
    content = {kind: described, "text/event-stream": {"schema": {"type": "string"}}}
    return {
        200: {"description": "all at once; events one by one with `follow`", "content": content}
    }


def document(app: FastAPI) -> dict[str, Any]:
    """Return the whole OpenAPI document; made once."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=ABOUT,
            routes=app.routes,
            tags=TAGS,
            separate_input_output_schemas=False,
        )
        for path, operations in found["paths"].items():
            for method, operation in operations.items():
                _mend(operation, f"{method}_{path}")
        found["components"]["schemas"] |= _schemas_of(Sync)
        for name, example in EXAMPLES.items():
            found["components"]["schemas"][name]["examples"] = [example]
        for unused in ("HTTPValidationError", "ValidationError"):
            found["components"]["schemas"].pop(unused, None)
        app.openapi_schema = found
    return app.openapi_schema


def methods_at(app: FastAPI, path: str) -> set[str]:
    """Return the methods that the contract has for an address; none where there is no such one."""
    return {
        method.upper()
        for template, operations in document(app)["paths"].items()
        if _shape(template).match(path)
        for method in operations
    }


def _schemas_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schemas of a model, and of all it is made of, by name."""
    schema = model.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
    parts: dict[str, Any] = schema.pop("$defs", {})
    return parts | {model.__name__: schema}


@cache
def _shape(template: str) -> re.Pattern[str]:
    return compile_path(template.replace("{path}", "{path:path}"))[0]


def _mend(operation: dict[str, Any], name: str) -> None:
    """Give errors their own content type, and each operation a short name of its own."""
    words = name.replace("/v1", "").replace("{", "").replace("}", "")
    operation["operationId"] = "_".join(filter(None, words.replace("-", "_").split("/"))).replace(
        "__", "_"
    )
    for status, answer in operation["responses"].items():
        if int(status) >= 400:
            answer["content"] = {PROBLEM_TYPE: {"schema": _PROBLEM}}
