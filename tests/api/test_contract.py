"""The OpenAPI document is complete, and its examples are true."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from intertie.api.app import create_app
from intertie.api.examples import EXAMPLES
from intertie.control.bootstrap import database_url, open_network
from intertie.control.wake import Wake
from intertie.wire import base, jobs, jobspec, market, parties, shares

MODELS: dict[str, type[BaseModel]] = {
    name: model
    for module in (base, jobs, jobspec, market, parties, shares)
    for name, model in vars(module).items()
    if isinstance(model, type) and issubclass(model, BaseModel)
}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    data: Path = tmp_path_factory.mktemp("contract")
    engine, wake = open_network(database_url(data)), Wake(data, "door")
    yield create_app(engine, wake, data).openapi()
    wake.close()
    engine.dispose()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_says_what_it_does_and_answers(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        successes = [
            (status, answer)
            for status, answer in operation["responses"].items()
            if status.startswith("2")
        ]
        assert operation["summary"], name
        assert operation["tags"], name
        assert successes, name
        without_body = name.startswith(("HEAD", "PUT")) or any(
            answer.get("content") for _, answer in successes
        )
        assert without_body, name


def test_every_operation_documents_its_problems(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        problems = {
            status: answer["content"]
            for status, answer in operation["responses"].items()
            if status >= "400"
        }
        assert problems, name
        for status, content in problems.items():
            schema = content["application/problem+json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}, (name, status)
        if "security" in operation:
            assert "401" in problems, name


def test_everything_but_health_and_enrolment_needs_a_credential(document: dict[str, Any]) -> None:
    open_to_all = {name for name, operation in operations(document) if "security" not in operation}
    assert open_to_all == {"GET /v1/health", "GET /v1/health/ready", "POST /v1/agents"}
    assert set(document["components"]["securitySchemes"]) == {"bearer", "attempt", "signature"}


def test_every_create_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    without = {
        name
        for name, operation in operations(document)
        if name.startswith("POST")
        and "Idempotency-Key" not in {each["name"] for each in operation.get("parameters", ())}
    }
    assert without == {
        "POST /v1/agents/{agent}/sync",
        "POST /v1/providers/{provider}/enrol-tokens",
        "POST /v1/webhooks/{webhook}/test",
    }


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_each_example_reads_back_as_its_model(name: str, document: dict[str, Any]) -> None:
    read = MODELS[name].model_validate(EXAMPLES[name])
    assert set(EXAMPLES[name]) <= set(read.model_dump(by_alias=True))
    assert document["components"]["schemas"][name]["examples"] == [EXAMPLES[name]]
