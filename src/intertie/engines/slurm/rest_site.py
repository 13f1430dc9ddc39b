"""The site by slurmrestd: the same answers as by its commands, asked over HTTP with a token.

What REST v0.0.38 cannot tell stays empty: how the site is set up (so each attempt is a job of its
own, and nothing is said to be enforced), expected starts of what is not submitted, accounting.
"""

import os
import pwd
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx

from intertie.engines.protocol import EngineUnavailable
from intertie.engines.slurm import rest_parsing, rest_rendering
from intertie.engines.slurm.commands import Ask, Submission
from intertie.engines.slurm.parsing import Job, NodeRow, Partition, Queued
from intertie.engines.slurm.runner import TIMEOUT_S, SiteRefuses, failure
from intertie.engines.slurm.settings import SlurmSettings

T = TypeVar("T")
ROOT = "/slurm/v0.0.38"
TOKEN = re.compile(r"^[\w.=-]+$", re.ASCII)


class RestSite:
    """Every question is one request. EngineUnavailable if the site cannot be asked."""

    def __init__(self, settings: SlurmSettings) -> None:
        self.settings = settings
        # No proxy from the environment: a site is inside, and its token stays there. Each request
        # has a connection of its own, so that a submission is never written to a stale one.
        self._http = httpx.Client(
            base_url=settings.rest,
            timeout=TIMEOUT_S,
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),
            auth=_Token(Path(settings.token_file), _user()),
        )

    def own_jobs(self) -> list[Job]:
        return self._ask("/jobs", rest_parsing.own_jobs)

    def queued(self, partitions: Sequence[str]) -> list[Queued]:
        return self._ask("/jobs", lambda said: rest_parsing.queued(said, partitions))

    def nodes(self, partitions: Sequence[str]) -> list[NodeRow]:
        return self._ask("/nodes", lambda said: rest_parsing.node_rows(said, partitions))

    def config(self) -> dict[str, str]:
        return {}

    def partitions(self) -> dict[str, Partition]:
        return self._ask("/partitions", rest_parsing.partitions)

    def accounted(self, _: Sequence[str]) -> list[Job]:
        return []

    def submit(self, submission: Submission, script: str) -> int:
        """Hand the jobs over; return the id. SiteRefuses with the site's own word."""
        document = rest_rendering.submission(self.settings, submission, script)
        return self._request("POST", "/job/submit", rest_parsing.submitted, document)

    def start_s(self, _ask: Ask, _script: str) -> int:
        return 0

    def cancel(self, ids: Sequence[str]) -> None:
        """A job that ended meanwhile is no error."""
        for each in ids:
            with suppress(SiteRefuses):
                self._request("DELETE", f"/job/{each}", rest_parsing.errors)

    def signal(self, _: Sequence[str]) -> None:
        """Do nothing: a signal over REST is for all of a job, and the shim reads its orders."""

    def _ask(self, path: str, parse: Callable[[Any], T]) -> T:
        try:
            return self._request("GET", path, parse)
        except SiteRefuses as error:  # a question is not refused: something is away
            raise EngineUnavailable(str(error)) from error

    def _request(
        self, method: str, path: str, parse: Callable[[Any], T], document: Any = None
    ) -> T:
        """Return what an answer says; SiteRefuses if it says no."""
        where = f"slurmrestd at {self.settings.rest}"
        try:
            answer = self._http.request(method, ROOT + path, json=document)
        except (httpx.HTTPError, OSError) as error:
            raise EngineUnavailable(f"{where} does not answer: {error}") from error
        named = f"the token in {self.settings.token_file}"
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise EngineUnavailable(f"{where} refuses {named}; issue one by `scontrol token`")
        try:
            said = answer.json()
            wrong = rest_parsing.errors(said)
            if not wrong:
                return parse(said)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            text = f"{where} is not understood: {answer.status_code} {answer.text[:200]}"
            raise EngineUnavailable(text) from error
        refusal = failure(where, wrong)
        if isinstance(refusal, SiteRefuses) and not rest_parsing.has_no_word(said):
            raise refusal
        # Of a token that slurmctld does not take slurmrestd says no more than of a silent one.
        raise EngineUnavailable(f"{where}: {wrong}; slurmctld is away, or refuses {named}")


class _Token(httpx.Auth):
    """Reads the token for each request, so that a new one needs no new agent."""

    def __init__(self, path: Path, user: str) -> None:
        self.path, self.user = path, user

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self.path.read_text(encoding="utf-8", errors="replace").strip()
        if not TOKEN.match(token):  # an error of httpx would show it
            raise EngineUnavailable(f"token_file: {self.path} holds no token; put one into it")
        request.headers["X-SLURM-USER-NAME"] = self.user
        request.headers["X-SLURM-USER-TOKEN"] = token
        yield request


def _user() -> str:
    with suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name
    return str(os.geteuid())
