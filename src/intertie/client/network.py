"""The network as one bearer sees it: every public route as a method."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote as quoted

import httpx
from pydantic import BaseModel

from intertie.client import blobs, credentials, folders, following, specs
from intertie.client.errors import NotFound, SpecError, problem_of
from intertie.client.following import OnEvent
from intertie.client.specs import SpecSource, body_of
from intertie.client.transport import Transport
from intertie.model.ids import decode
from intertie.wire.jobs import (
    FileView,
    JobEvent,
    JobView,
    Receipt,
    RefusedView,
    SubmitJob,
    TaskView,
    WhyView,
)
from intertie.wire.market import AskQuote, OfferView, QuoteView
from intertie.wire.money import AccountView, LedgerCheck, TransactionView
from intertie.wire.operations import OperationsView
from intertie.wire.parties import (
    BlockProject,
    Created,
    CreateProject,
    CreateProvider,
    HealthView,
    ProjectView,
    ProviderView,
    TopUp,
    WhoAmI,
)
from intertie.wire.queue import QueueView
from intertie.wire.shares import CreateCohort, SetShare, SharesView, ShareView
from intertie.wire.webhooks import CreateWebhook, WebhookPing, WebhookView
from intertie.wire.whatifs import AskWhatIf, WhatIfView

M = TypeVar("M", bound=BaseModel)
JobLike = str | JobView


class Intertie:
    r"""A connection to one network, as one project, provider or operator.

    Without arguments it speaks to the network of $INTERTIE_URL and $INTERTIE_TOKEN, else to the
    one that ``intertie up`` left in its credentials file; `name` picks another of its tokens.
    Answers are the models of `intertie.wire`; a "no" is an `IntertieError` with its fix.

    >>> from intertie.client import Intertie
    >>> network = Intertie()
    >>> job = network.submit({"command": ["echo", "hello"], "time_limit": "1m"})
    >>> network.wait(job).outcome
    'done'
    >>> "".join(network.logs(job))
    'hello\n'
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        lang: str | None = None,
        timeout_s: float = 30.0,
        *,
        name: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        address, bearer = credentials.choose(url, token, name)
        self._transport = Transport(address, bearer, lang, timeout_s, transport)
        self.url, self.fingerprint = self._transport.url, self._transport.fingerprint

    def close(self) -> None:
        self._transport.close()

    def another_line(self) -> Transport:
        """Return a conversation of its own with the same network, for whoever closes it."""
        return self._transport.another()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Jobs, from the question to the receipt.

    def quote(
        self, spec: SpecSource, workdir: str | Path | None = None, *, key: str | None = None
    ) -> QuoteView:
        """Return what a job would cost and when it would finish; nothing is uploaded or started.

        The quote holds for this spec, with its working folder as it is now.

        >>> quote = Intertie().quote({"command": ["sleep", "1"], "time_limit": "1m"})
        >>> sum(option.is_chosen for option in quote.options)
        1
        """
        loaded = specs.load(spec, workdir)
        asked = loaded.spec
        if loaded.folder is not None:
            with folders.pack(loaded.folder) as packed:
                asked = asked.model_copy(update={"workdir": packed.sha256})
        return self._create("quotes", AskQuote(spec=asked), QuoteView, key)

    def submit(
        self,
        spec: SpecSource,
        quote: str | QuoteView | None = None,
        option: str | None = None,
        workdir: str | Path | None = None,
        *,
        key: str | None = None,
        on_progress: blobs.OnProgress | None = None,
    ) -> JobView:
        """Submit a job and return it; its working folder is packed and uploaded first.

        `spec` is a file, a dictionary or a `JobSpec`. With `quote`, the job runs at its prices.
        Repeating the call with the same `key` returns the same job.

        >>> Intertie().submit({"command": ["true"], "name": "nothing", "time_limit": "1m"}).name
        'nothing'
        """
        loaded = specs.load(spec, workdir)
        asked = loaded.spec
        if loaded.folder is not None:
            held = self.upload(loaded.folder, on_progress)
            asked = asked.model_copy(update={"workdir": held})
        chosen: dict[str, Any] = {}
        if quote is not None:
            chosen["quote"] = quote.id if isinstance(quote, QuoteView) else quote
        if option is not None:
            chosen["option"] = option
        return self._create("jobs", SubmitJob(spec=asked, **chosen), JobView, key)

    def upload(
        self,
        folder: str | Path | None,
        on_progress: blobs.OnProgress | None = None,
        *,
        beside: Mapping[str, bytes] | None = None,
    ) -> str:
        """Pack a folder and upload it unless the network has it; return its hash.

        `beside` holds files that go into it too, by their paths.
        """
        path = None if folder is None else Path(folder)
        if path is not None and not path.is_dir():
            raise SpecError(problem_of("bad_spec", f"There is no folder {path}", status=422))
        with folders.pack(path, beside) as packed:
            return blobs.upload(self._transport, packed, on_progress)

    def job(self, job: JobLike) -> JobView:
        return self._one(f"jobs/{_id(job)}", JobView)

    def jobs(self, state: str | None = None, limit: int = 100) -> Iterator[JobView]:
        """Return jobs page by page; `limit` is the size of a page."""
        params = {"limit": limit} | ({"state": state} if state else {})
        return self._pages("jobs", JobView, params)

    def tasks(self, job: JobLike) -> Iterator[TaskView]:
        return self._pages(f"jobs/{_id(job)}/tasks", TaskView, {"limit": 500})

    def task(self, job: JobLike, index: int) -> TaskView:
        """Return one task with every attempt at it."""
        params = {"limit": 1} | ({"after": index - 1} if index else {})
        page = self._transport.get(f"jobs/{_id(job)}/tasks", params)
        for item in page["items"]:
            if item["index"] == index:
                return TaskView.model_validate(item)
        title = f"There is no task {index} in {_id(job)}"
        raise NotFound(problem_of("not_found", title, status=404))

    def wait(
        self, job: JobLike, on_event: OnEvent | None = None, timeout_s: float | None = None
    ) -> JobView:
        """Return the job when it has settled; raise WaitTimeout after `timeout_s`."""
        return following.wait(self._transport, _id(job), on_event, timeout_s)

    def events(self, job: JobLike, follow: bool = False, last: int = 0) -> Iterator[JobEvent]:
        """Return the events after number `last`; with `follow`, until the job has settled."""
        if follow:
            return following.events(self._transport, _id(job), last)
        found = self._pages(f"jobs/{_id(job)}/events", JobEvent, {"limit": 500})
        return (event for event in found if event.number > last)

    def logs(
        self,
        job: JobLike,
        task: int = 0,
        follow: bool = False,
        offset: int = 0,
        attempt: int | None = None,
    ) -> Iterator[str]:
        """Return the output of one task in pieces; with `follow`, until the task has ended."""
        if follow:
            return following.log(self._transport, _id(job), task, offset, attempt)
        params = {"offset": offset} | ({} if attempt is None else {"attempt": attempt})
        where = f"jobs/{_id(job)}/tasks/{task}/logs"
        return iter([self._transport.ask("GET", where, params=params).text])

    def log_size(self, job: JobLike, task: int = 0) -> int:
        """Return how many bytes one task has printed."""
        where = f"jobs/{_id(job)}/tasks/{task}/logs"
        answer = self._transport.ask("GET", where, params={"offset": 2**62})
        return int(answer.headers.get(blobs.OFFSET, 0))

    def cancel(self, job: JobLike, *, key: str | None = None) -> JobView:
        return self._create(f"jobs/{_id(job)}/cancel", None, JobView, key)

    def why(self, job: JobLike) -> WhyView:
        """Return why a job waits, failed or was refused, and the smallest change that helps."""
        return self._one(f"jobs/{_id(job)}/why", WhyView)

    def queue(self) -> QueueView:
        """Return who waits in which order and until about when; others' jobs have no name."""
        return self._one("queue", QueueView)

    def files(self, job: JobLike) -> Iterator[FileView]:
        return self._pages(f"jobs/{_id(job)}/files", FileView, {"limit": 500})

    def results(
        self,
        job: JobLike,
        to: str | Path | None = None,
        on_progress: blobs.OnProgress | None = None,
    ) -> list[Path]:
        """Bring a job's result files into a folder (``results/<job>``) and return their paths.

        The files of an array go into one folder for each task: ``0/``, ``1/``, … Files that are
        there already and have the right content are not fetched again.
        """
        view = job if isinstance(job, JobView) else self.job(job)
        folder = Path(to) if to else Path("results") / view.id
        found = [file for file in self.files(view) if file.kind == "result"]
        paths = []
        for count, file in enumerate(found, 1):
            place = folder / str(file.task) if view.task_count > 1 else folder
            paths.append(blobs.fetch(self._transport, view.id, file, place))
            if on_progress:
                on_progress(count, len(found))
        return paths

    def fetch(self, job: JobLike, task: int, path: str, to: Path) -> None:
        """Bring one file that a task left to a place."""
        self._transport.save(f"jobs/{_id(job)}/files/{task}/{quoted(path)}", to)

    def receipt(self, job: JobLike) -> Receipt:
        """Return what a job used and cost, from both meters, and where the money went."""
        return self._one(f"jobs/{_id(job)}/receipt", Receipt)

    def refusals(self) -> Iterator[RefusedView]:
        """Return what the network refused, and why; nothing came of these requests."""
        return self._pages("refusals", RefusedView)

    # The market and the parties.

    def me(self) -> WhoAmI:
        return self._one("me", WhoAmI)

    def offers(self) -> Iterator[OfferView]:
        return self._pages("offers", OfferView)

    def quotes(self) -> Iterator[QuoteView]:
        return self._pages("quotes", QuoteView)

    def quote_of(self, quote: str) -> QuoteView:
        return self._one(f"quotes/{quote}", QuoteView)

    def providers(self) -> Iterator[ProviderView]:
        return self._pages("providers", ProviderView)

    def provider(self, provider: str) -> ProviderView:
        return self._one(f"providers/{self._party('provider', provider)}", ProviderView)

    def create_provider(self, name: str, *, key: str | None = None) -> Created:
        """Register a provider; the answer holds the one-time token with which its agent enrols."""
        return self._create(
            "providers", specs.checked(CreateProvider, {"name": name}), Created, key
        )

    def create_enrol_token(self, provider: str, *, key: str | None = None) -> Created:
        """Return a new one-time token, with which one more agent of the provider enrols."""
        where = f"providers/{self._party('provider', provider)}/enrol-tokens"
        return self._create(where, None, Created, key)

    def projects(self) -> Iterator[ProjectView]:
        return self._pages("projects", ProjectView)

    def project(self, project: str) -> ProjectView:
        return self._one(f"projects/{self._party('project', project)}", ProjectView)

    def create_project(
        self, name: str, weight: int = 1, trial: str | float = 0, *, key: str | None = None
    ) -> Created:
        """Open a project with a wallet; `trial` credits are booked as a trial balance."""
        told = {"name": name, "weight": weight, "trial": trial}
        asked = specs.checked(CreateProject, told)
        return self._create("projects", asked, Created, key)

    def top_up(self, project: str, amount: str | float, *, key: str | None = None) -> ProjectView:
        """Put an amount in credits into a project's wallet."""
        where = f"projects/{self._party('project', project)}/top-up"
        return self._create(where, specs.checked(TopUp, {"amount": amount}), ProjectView, key)

    def block(
        self, project: str, is_blocked: bool = True, *, key: str | None = None
    ) -> ProjectView:
        """Block a project (its leases are stopped with grace), or lift the block."""
        where = f"projects/{self._party('project', project)}/block"
        return self._create(where, BlockProject(is_blocked=is_blocked), ProjectView, key)

    # The share tree.

    def shares(self) -> SharesView:
        """Return how every project and every cohort stands now, and how even that is."""
        return self._one("shares", SharesView)

    def create_cohort(self, name: str, *, key: str | None = None, **told: Any) -> ShareView:
        """Open a cohort; `told` are the other fields of CreateCohort."""
        asked = specs.checked(CreateCohort, {"name": name, **told})
        return self._create("cohorts", asked, ShareView, key)

    def set_share(self, member: str, *, key: str | None = None, **told: Any) -> ShareView:
        """Set the fields of SetShare for a project or a cohort, by id or name; the rest stays."""
        asked = specs.checked(SetShare, told)
        found = self._member(member)
        return self._create(f"{found.kind}s/{found.id}/share", asked, ShareView, key)

    def cohort(self, known_as: str) -> str:
        """Return the id of the cohort that is named by id or by name."""
        found = self._member(known_as)
        if found.kind == "cohort":
            return found.id
        title = f"There is no cohort {known_as!r}"
        raise NotFound(problem_of("not_found", title, status=404))

    def _member(self, known_as: str) -> ShareView:
        for share in self.shares().shares:
            if known_as in (share.id, share.name):
                return share
        title = f"There is no project or cohort {known_as!r}"
        raise NotFound(problem_of("not_found", title, status=404))

    # Webhooks: where a project has its events posted.

    def create_webhook(
        self, url: str, codes: Iterable[str] = (), *, key: str | None = None
    ) -> WebhookView:
        """Have events posted to an address, all or those of some codes; `secret` signs them."""
        asked = specs.checked(CreateWebhook, {"url": url, "codes": list(codes)})
        return self._create("webhooks", asked, WebhookView, key)

    def webhooks(self) -> Iterator[WebhookView]:
        return self._pages("webhooks", WebhookView)

    def remove_webhook(self, webhook: str) -> WebhookView:
        answer = self._transport.ask("DELETE", f"webhooks/{webhook}")
        return WebhookView.model_validate_json(answer.content)

    def test_webhook(self, webhook: str) -> WebhookPing:
        """Have one test message sent now, and return what the receiver answered."""
        return self._create(f"webhooks/{webhook}/test", None, WebhookPing, None)

    # The books.

    def accounts(self) -> Iterator[AccountView]:
        return self._pages("ledger/accounts", AccountView, {"limit": 500})

    def transactions(self, limit: int = 100, newest: bool = False) -> Iterator[TransactionView]:
        """Return transactions page by page, oldest first unless `newest`; `limit` is a page."""
        params = {"limit": limit} | ({"newest": "true"} if newest else {})
        return self._pages("ledger/transactions", TransactionView, params)

    def ledger_check(self) -> LedgerCheck:
        """Return the proof of the books, recomputed from the first posting."""
        return self._one("ledger/check", LedgerCheck)

    def health(self) -> HealthView:
        """Return whether the network is there and its decider takes what is asked."""
        return self._one("health", HealthView)

    def operations(self) -> OperationsView:
        """Return how the network runs: leader, queues, states, money; for operators."""
        return self._one("operations", OperationsView)

    def ask_what_if(
        self, policy: Mapping[str, int | str], span_s: int, *, key: str | None = None
    ) -> WhatIfView:
        """Ask what the last `span_s` seconds would have been with these fields of the policy.

        It returns at once; `what_if` tells how far it has come. For operators.
        """
        asked = AskWhatIf(policy=dict(policy), span_s=span_s)
        return self._create("what-ifs", asked, WhatIfView, key)

    def what_if(self, what_if: str) -> WhatIfView:
        return self._one(f"what-ifs/{quoted(what_if, safe='')}", WhatIfView)

    def what_ifs(self) -> Iterator[WhatIfView]:
        """Return what was asked before, newest first."""
        return self._pages("what-ifs", WhatIfView, {"limit": 100})

    def _one(self, path: str, kind: type[M]) -> M:
        return kind.model_validate(self._transport.get(path))

    def _pages(self, path: str, kind: type[M], params: dict[str, Any] | None = None) -> Iterator[M]:
        return (kind.model_validate(item) for item in self._transport.pages(path, params))

    def _create(self, path: str, asked: BaseModel | None, kind: type[M], key: str | None) -> M:
        body = body_of(asked) if asked is not None else {}
        return kind.model_validate(self._transport.post(path, body, key))

    def _party(self, noun: str, known_as: str) -> str:
        """Return the id of a project or provider that is named by id or by name."""
        try:
            decode(noun, known_as)
        except ValueError:
            parties = self.projects() if noun == "project" else self.providers()
            for party in parties:
                if party.name == known_as:
                    return str(party.id)
            raise NotFound(
                problem_of("not_found", f"There is no {noun} {known_as!r}", status=404)
            ) from None
        return known_as


def _id(job: JobLike) -> str:
    return job.id if isinstance(job, JobView) else job
