"""The thin runner: one HTTP request for each question, and one error for no answer."""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from intertie.engines.protocol import EngineUnavailable
from intertie.engines.ray import parsing
from intertie.engines.ray.rendering import actor_name

T = TypeVar("T")
TIMEOUT_S = 20.0
NODES_MAX = 10_000


class RayApi:
    """Ray's dashboard: the Jobs REST API and the state API. Methods raise EngineUnavailable."""

    def __init__(self, url: str, token_file: Path | None) -> None:
        self.url, self.token_file = url, token_file
        # No proxy from the environment: a cluster is inside, and its token stays there.
        self._http = httpx.Client(
            base_url=url,
            timeout=TIMEOUT_S,
            trust_env=False,
            auth=_Bearer(token_file) if token_file else None,
        )

    def version(self) -> str:
        return str(self._ask("GET", "/api/version").json()["ray_version"])

    def nodes(self) -> list[parsing.RayNode]:
        path = f"/api/v0/nodes?detail=1&limit={NODES_MAX}"
        return self._read(path, parsing.nodes)

    def usage(self) -> dict[str, float]:
        return self._read("/api/cluster_status", parsing.usage)

    def jobs(self, prefix: str) -> dict[str, parsing.Job]:
        return self._read("/api/jobs/", lambda said: parsing.jobs(said, prefix))

    def job(self, submission: str) -> parsing.Job | None:
        answer = self._ask("GET", f"/api/jobs/{submission}", may_fail=True)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return self._parsed(answer, parsing.job)

    def submit(self, document: dict[str, Any]) -> None:
        """Submit a job, or find that it was: Ray answers a second time with a traceback."""
        answer = self._ask("POST", "/api/jobs/", document, may_fail=True)
        if answer.is_error and self.job(document["submission_id"]) is None:
            raise EngineUnavailable(f"Ray refuses a job: {parsing.last_words(answer.text)}")

    def stop(self, submission: str) -> None:
        """Ask Ray to stop a job; one that is over or unknown is fine."""
        self._ask("POST", f"/api/jobs/{submission}/stop", may_fail=True)

    def delete(self, submission: str) -> None:
        """Remove a job that is over; Ray keeps one that is not."""
        self._ask("DELETE", f"/api/jobs/{submission}", may_fail=True)

    def ran_ms(self, submission: str) -> int:
        """Return how long the job had its resources: a job's own start is when it was submitted."""
        keys = "filter_keys=name&filter_predicates=%3D"
        named = f"/api/v0/actors?detail=1&{keys}&filter_values={actor_name(submission)}"
        if not (actor := self._read(named, parsing.actor_id)):
            return 0
        return self._read(f"/logical/actors/{actor}", parsing.actor_ms)

    def close(self) -> None:
        self._http.close()

    def _read(self, path: str, parse: Callable[[Any], T]) -> T:
        return self._parsed(self._ask("GET", path), parse)

    def _parsed(self, answer: httpx.Response, parse: Callable[[Any], T]) -> T:
        try:
            return parse(answer.json())
        except (ValueError, LookupError, TypeError) as error:
            text = answer.text[:200]
            raise EngineUnavailable(f"Ray at {self.url} is not understood: {text}") from error

    def _ask(
        self, method: str, path: str, document: Any = None, may_fail: bool = False
    ) -> httpx.Response:
        try:
            answer = self._http.request(method, path, json=document)
        except (httpx.HTTPError, OSError) as error:
            raise EngineUnavailable(f"Ray at {self.url} does not answer: {error}") from error
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            named = f"the token in {self.token_file}" if self.token_file else "us without a token"
            raise EngineUnavailable(f"Ray at {self.url} refuses {named}: {answer.text[:200]}")
        if answer.is_error and not may_fail:
            text = parsing.last_words(answer.text)
            raise EngineUnavailable(f"Ray at {self.url} cannot {method} {path}: {text}")
        return answer


class _Bearer(httpx.Auth):
    """Reads the token for each request, so that a new one needs no new agent."""

    def __init__(self, token_file: Path) -> None:
        self.token_file = token_file

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self.token_file.read_text(encoding="utf-8").strip()
        request.headers["Authorization"] = f"Bearer {token}"
        yield request
