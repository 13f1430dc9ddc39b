"""`intertie demo`: the story of one job through three unlike providers, step by step."""

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.rule import Rule
from rich.text import Text

from intertie.catalogue.texts import credits_of, text
from intertie.cli import exits
from intertie.cli.demo import centre, facts, running, staging
from intertie.cli.demo.staging import POOLS, PROVIDERS, Stage
from intertie.cli.embedded import EmbeddedNetwork
from intertie.cli.render.base import Columns, credit_cells
from intertie.cli.render.ledger import check_view
from intertie.cli.render.market import not_enforced_lines, offers_table, quote_view
from intertie.cli.render.problem import problem_lines
from intertie.cli.render.receipt import receipt_view
from intertie.client import BadInput, IntertieError
from intertie.client.errors import problem_of
from intertie.wire.jobs import Receipt

JOIN_TIMEOUT_S = 180.0


class Teller:
    """Tells the story: a rule and a sentence for each step, then what the network answered."""

    def __init__(self, console: Console, lang: str) -> None:
        self.console, self.lang, self._step = console, lang, 0

    def step(self, name: str, **values: Any) -> None:
        """Begin a step of the river."""
        self._step += 1
        title = text(self.lang, f"demo.{name}.title")
        self.console.print()
        self.console.print(Rule(f"{self._step} · {title}", align="left", style="cyan"))
        self.say(f"demo.{name}.intro", **values)

    def say(self, key: str, **values: Any) -> None:
        """Say one sentence of the story."""
        self.console.print(Text(text(self.lang, key, **values)))

    def show(self, picture: RenderableType) -> None:
        """Show what the network answered."""
        self.console.print(picture)


def demo(out: Path, slurm: Path | None, lang: str, as_json: bool) -> int:
    """Tell the story; leave receipt.json, the results and the network's data below `out`.

    A Slurm site that answers takes part: that of the file `slurm`, else this machine's own.
    """
    if slurm:
        os.environ["SLURM_CONF"] = str(slurm.resolve())  # for Slurm's commands and for the agent
    has_centre = centre.is_here()
    if slurm and not has_centre:
        raise BadInput(problem_of("bad_option", "", text(lang, "demo.no_slurm", path=slurm)))
    console = Console(stderr=as_json, highlight=False)
    if not console.is_terminal:
        console = Console(stderr=as_json, highlight=False, width=100)
    begun = time.monotonic()
    data = out / "network"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    teller = Teller(console, lang)
    teller.say("demo.opening")
    with EmbeddedNetwork(data.resolve()) as network:
        stage = Stage(network, out)
        found = _story(stage, teller, begun, has_centre)
    facts.write(out / "receipt.json", found)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    is_right = found["books_ok"] and found["tasks_resumed"] >= 1 and bool(found["refusals"])
    return exits.DONE if is_right else exits.JOB_FAILED


def _story(stage: Stage, teller: Teller, begun: float, has_centre: bool) -> dict[str, Any]:
    _supply(stage, teller, has_centre)
    _quote(stage, teller)
    _place(stage, teller)
    teller.step("run")
    running.follow(stage, teller.console, teller.lang)
    receipts = _meter(stage, teller)
    _settle(stage, teller, receipts)
    winner = _results(stage, teller)
    operator = stage.network.client()
    found = facts.facts(
        operator, receipts, operator.ledger_check(), winner, time.monotonic() - begun
    )
    teller.step("next", took_s=found["took_s"], out=str(stage.out))
    return found


def _supply(stage: Stage, teller: Teller, has_centre: bool) -> None:
    teller.step("supply")
    for name, settings in PROVIDERS.items():
        # One after another, so that nobody's measurement disturbs another's.
        with teller.console.status(text(teller.lang, "demo.supply.measuring", provider=name)):
            staging.add_provider(stage, name, POOLS[name], {**staging.LENT, **settings})
            _wait_for_offer(stage, name)
    if has_centre:
        teller.say("demo.supply.centre")
        staging.add_provider(stage, centre.PROVIDER, centre.POOL, centre.SETTINGS)
        _wait_for_offer(stage, centre.PROVIDER)
    operator = stage.network.client(lang=teller.lang)
    teller.show(offers_table(list(operator.offers()), teller.lang))
    not_enforced = not_enforced_lines(list(operator.providers()), teller.lang)
    if not_enforced:
        teller.show(not_enforced)
    _open_projects(stage, teller, has_centre)


def _open_projects(stage: Stage, teller: Teller, has_centre: bool) -> None:
    wallets = staging.PROJECTS | ({centre.PROJECT: centre.TRIAL} if has_centre else {})
    for name, trial in wallets.items():
        spec = staging.spec_of(name) if name in staging.PROJECTS else centre.spec()
        staging.add_project(stage, name, trial, spec)
        teller.say("demo.supply.wallet", project=name, trial_micro=trial * 1_000_000)


def _wait_for_offer(stage: Stage, name: str) -> None:
    operator = stage.network.client()
    ends = time.monotonic() + JOIN_TIMEOUT_S
    agent = stage.network.agents[stage.pools[name]]
    while time.monotonic() < ends:
        if any(offer.provider == name and offer.score for offer in operator.offers()):
            return
        if agent.exit_code() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"{agent.name} did not join:\n{agent.tail()}")


def _quote(stage: Stage, teller: Teller) -> None:
    teller.step("quote")
    for name, client in stage.projects.items():
        stage.quotes[name] = client.quote(stage.specs[name])
        if name == centre.PROJECT:
            teller.say("demo.quote.script", project=name)
        else:
            wish = text(teller.lang, f"demo.quote.{stage.specs[name]['prefer']}")
            teller.say("demo.quote.asks", project=name, wish=wish)
        teller.show(quote_view(stage.quotes[name], teller.lang))


def _place(stage: Stage, teller: Teller) -> None:
    teller.step("place")
    _submit_together(stage)
    _refusal(stage, teller)
    _wait_for_places(stage)
    columns = Columns(teller.lang, text(teller.lang, "demo.place.table"))
    columns.word("project").word("task").word("pool").number("price_core").number("held")
    rows, prices, holds = [], [], []
    for name, client in stage.projects.items():
        for event in client.events(stage.jobs[name]):
            if event.code == "task_placed":
                rows.append((name, str(event.values["task"]), str(event.values["provider"])))
                prices.append(int(event.values["price_micro_per_unit_h"]))
                holds.append(int(event.values["hold_micro"]))
    cells = zip(rows, credit_cells(prices), credit_cells(holds), strict=True)
    teller.show(columns.rows([*row, price, held] for row, price, held in cells))
    for name, client in stage.projects.items():
        placed = sum(row[0] == name for row in rows)
        waiting = client.job(stage.jobs[name]).task_count - placed
        teller.say("demo.place.waiting", project=name, placed=placed, waiting=waiting)


def _submit_together(stage: Stage) -> None:
    """Who has a folder uploads it, and then all submit at the same moment."""
    folder = staging.example("digits")
    specs = dict(stage.specs)
    for name in staging.PROJECTS:
        specs[name] = specs[name] | {"workdir": stage.projects[name].upload(folder)}
    with ThreadPoolExecutor(len(specs)) as threads:
        futures = {
            name: threads.submit(client.submit, specs[name], stage.quotes[name])
            for name, client in stage.projects.items()
        }
        stage.jobs = {name: future.result() for name, future in futures.items()}


def _wait_for_places(stage: Stage) -> None:
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        views = [client.job(stage.jobs[name]) for name, client in stage.projects.items()]
        if sum(sum(view.running_by_provider.values()) for view in views) >= len(stage.pools):
            return
        time.sleep(0.05)


def _refusal(stage: Stage, teller: Teller) -> None:
    try:
        stage.projects["small-lab"].submit(
            staging.refused_spec(), workdir=staging.example("digits")
        )
    except IntertieError as error:
        teller.say("demo.place.refused")
        teller.show(problem_lines(error.problem, teller.lang))


def _meter(stage: Stage, teller: Teller) -> dict[str, Receipt]:
    teller.step("meter")
    receipts = {name: client.receipt(stage.jobs[name]) for name, client in stage.projects.items()}
    for receipt in receipts.values():
        teller.show(receipt_view(receipt, teller.lang))
    return receipts


def _settle(stage: Stage, teller: Teller, receipts: dict[str, Receipt]) -> None:
    teller.step("settle")
    columns = Columns(teller.lang, text(teller.lang, "demo.settle.table")).word("project")
    columns.word("provider").number("charged").number("fee").number("earned")
    parts = [(name, part) for name, each in receipts.items() for part in each.by_provider]
    charged = credit_cells([part.charged_micro for _, part in parts])
    fees = credit_cells([part.fee_micro for _, part in parts])
    earned = credit_cells([part.paid_micro for _, part in parts])
    cells = zip(parts, charged, fees, earned, strict=True)
    teller.show(columns.rows([name, part.provider, *amounts] for (name, part), *amounts in cells))
    total = sum(receipt.paid_micro for receipt in receipts.values())
    teller.say("demo.settle.total", paid=credits_of(total, teller.lang))
    teller.show(check_view(stage.network.client().ledger_check(), teller.lang))


def _results(stage: Stage, teller: Teller) -> dict[str, Any]:
    """Bring the results and let validation accuracy choose; the test set only reports."""
    found = []
    for name, client in stage.projects.items():
        paths = client.results(stage.jobs[name], stage.out / "results" / name)
        if name in staging.PROJECTS:
            found += [json.loads(path.read_text()) for path in paths]
    teller.step("results", count=len(found))
    winner: dict[str, Any] = max(
        found, key=lambda one: (one["val_accuracy"], -one["hidden"], one["decay"])
    )
    teller.say(
        "demo.results.best",
        rate=winner["rate"],
        hidden=winner["hidden"],
        decay=winner["decay"],
        validation=f"{winner['val_accuracy']:.4f}",
        test=f"{winner['test_accuracy']:.4f}",
    )
    return winner
