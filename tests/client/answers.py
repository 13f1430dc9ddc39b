"""A network that answers from a script, for tests of the client and the command."""

import json
from collections.abc import Callable
from typing import Any

import httpx
from pydantic import BaseModel

from intertie.client import Intertie

URL = "http://127.0.0.1:8420"
Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Answers:
    """Answers by method and path; each request takes the next answer, and the last one repeats."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.slept_s: list[float] = []
        self._routes: dict[tuple[str, str], list[Answer]] = {}

    def on(self, method: str, path: str, *answers: Any) -> "Answers":
        self._routes[method, f"/v1/{path}"] = [_as_answer(answer) for answer in answers]
        return self

    def client(self, **known: Any) -> Intertie:
        network = Intertie(URL, "secret", transport=httpx.MockTransport(self.handle), **known)
        network._transport.sleep = self.slept_s.append
        return network

    def handle(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        answers = self._routes.get((request.method, request.url.path))
        if not answers:
            return problem(404, "not_found", f"{request.method} {request.url.path}")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    def sent(self, method: str, path: str) -> list[httpx.Request]:
        wanted = (method, f"/v1/{path}")
        return [each for each in self.requests if (each.method, each.url.path) == wanted]

    def body(self, method: str, path: str) -> Any:
        return json.loads(self.sent(method, path)[-1].content)


def problem(status: int, code: str, detail: str = "", **more: Any) -> httpx.Response:
    body = {"type": f"/problems/{code}", "title": code, "status": status, "code": code}
    kind = {"content-type": "application/problem+json"}
    return httpx.Response(status, headers=kind, json=body | {"detail": detail} | more)


def page(*items: BaseModel, following: str | None = None) -> dict[str, Any]:
    rows = [item.model_dump(mode="json", by_alias=True) for item in items]
    return {"items": rows, "next": following}


def stream(*events: tuple[str, str, Any]) -> httpx.Response:
    """Return server-sent events of (id, event, data)."""
    text = "".join(f"id: {i}\nevent: {e}\ndata: {json.dumps(d)}\n\n" for i, e, d in events)
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, text=text)


def _as_answer(answer: Any) -> Answer:
    if isinstance(answer, BaseModel):
        return httpx.Response(200, json=answer.model_dump(mode="json", by_alias=True))
    if isinstance(answer, dict | list):
        return httpx.Response(200, json=answer)
    return answer
