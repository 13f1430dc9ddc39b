"""The ledger page: accounts and balances, transactions, and the proof of the books."""

from collections.abc import Iterator
from itertools import islice

from nicegui import ui

from intertie.client import Intertie
from intertie.console.frame import Frame
from intertie.console.parts import facts, heading, section
from intertie.console.speech import DASH, Speech, credits_of
from intertie.console.tables import Cell, Column, Row, Table, by_number
from intertie.wire.money import AccountView, LedgerCheck, TransactionView

STEP = 50


def build(frame: Frame) -> None:
    """Build the page."""
    say = frame.say
    heading(say("ledger.title"))
    section(say("ledger.accounts"), say("ledger.trial_note"))
    accounts = Table(_account_columns(frame.speech), say("ledger.no_accounts"))
    trial = ui.label().classes("console-note")
    trial.set_visibility(False)
    names: dict[str, str] = {}
    transactions = _Transactions(frame, names, trial)
    proof = ui.column().classes("w-full")

    def show(found: tuple[list[AccountView], LedgerCheck]) -> None:
        owned, check = found
        names.update({account.id: _name(account, frame.speech) for account in owned})
        accounts.show([_account_row(account, frame.speech) for account in owned])
        transactions.redraw()
        proof.clear()
        with proof:
            _show_check(frame, check)

    frame.live(lambda network: (list(network.accounts()), network.ledger_check()), show)


class _Transactions:
    """Transactions, a page at a time; the SDK asks the network for the next page when needed."""

    def __init__(self, frame: Frame, names: dict[str, str], trial: ui.label) -> None:
        self._frame, self._names, self._trial = frame, names, trial
        self._source: Iterator[TransactionView] | None = None
        self._found: list[TransactionView] = []
        section(frame.say("ledger.transactions"))
        self._table = Table(_transaction_columns(frame.speech), frame.say("ledger.none"))
        with ui.row():
            self._more = ui.button(frame.say("more"), on_click=self._show_more)
            self._more.props("flat no-caps").set_visibility(False)
            ui.button(frame.say("refresh"), on_click=self._restart).props("flat no-caps")
        ui.timer(0, self._restart, once=True)

    def redraw(self) -> None:
        self._table.show([self._row(booked) for booked in self._found])
        trial_micro = sum(
            posting.amount_micro
            for booked in self._found
            if booked.kind == "trial"
            for posting in booked.postings
            if posting.destination in self._names
        )
        amount = credits_of(trial_micro)
        self._trial.set_text(self._frame.say("ledger.trial_credited", amount=amount))
        self._trial.set_visibility(trial_micro > 0)

    async def _restart(self) -> None:
        def load(network: Intertie) -> tuple[Iterator[TransactionView], list[TransactionView]]:
            source = network.transactions(limit=STEP, newest=True)
            return source, list(islice(source, STEP))

        found = await self._frame.ask(load)
        if found is not None:
            self._source, self._found = found
            self._more.set_visibility(len(self._found) == STEP)
            self.redraw()

    async def _show_more(self) -> None:
        source = self._source
        if source is None:
            return
        more = await self._frame.ask(lambda network: list(islice(source, STEP)))
        if more is not None:
            self._found += more
            self._more.set_visibility(len(more) == STEP)
            self.redraw()

    def _row(self, booked: TransactionView) -> Row:
        names, speech = self._names, self._frame.speech
        # A provider earns from jobs that it may not look into.
        job = f"/jobs/{booked.job}" if self._frame.who.role != "provider" else ""
        moved_micro = sum(posting.amount_micro for posting in booked.postings)
        postings = speech.say("list.semicolon").join(
            speech.say(
                "ledger.posting",
                source=names.get(posting.source)
                or _named(posting.source_owner, posting.source_kind, speech),
                destination=names.get(posting.destination)
                or _named(posting.destination_owner, posting.destination_kind, speech),
                amount=credits_of(posting.amount_micro),
            )
            for posting in booked.postings
        )
        return {
            "at": Cell(speech.moment(booked.at), booked.at),
            "kind": speech.word("transaction", booked.kind),
            "amount": by_number(moved_micro, credits_of(moved_micro)),
            "postings": postings,
            "job": Cell(booked.job, href=job) if booked.job else DASH,
            "id": booked.id,
        }


def _name(account: AccountView, speech: Speech) -> str:
    return _named(account.owner, account.kind, speech)


def _named(owner: str, account_kind: str, speech: Speech) -> str:
    """Return what an account is called: whose it is, where it is somebody's, and what for."""
    kind = speech.word("account", account_kind)
    return f"{owner} · {kind}" if owner else kind


def _account_columns(speech: Speech) -> list[Column]:
    say = speech.say
    return [
        Column("owner", say("column.owner")),
        Column("kind", say("column.account")),
        Column("balance", say("column.balance"), is_number=True),
    ]


def _account_row(account: AccountView, speech: Speech) -> Row:
    return {
        "owner": account.owner or DASH,
        "kind": speech.word("account", account.kind),
        "balance": by_number(account.balance_micro, credits_of(account.balance_micro)),
    }


def _transaction_columns(speech: Speech) -> list[Column]:
    say = speech.say
    return [
        Column("at", speech.clock("column.at")),
        Column("kind", say("column.transaction_kind")),
        Column("amount", say("column.amount"), is_number=True),
        Column("postings", say("column.postings"), is_wrapped=True),
        Column("job", say("column.job"), is_link=True),
        Column("id", say("column.transaction")),
    ]


def _show_check(frame: Frame, check: LedgerCheck) -> None:
    say = frame.say
    section(say("ledger.check"), say("ledger.check_note"))
    ui.label(say("ledger.ok" if check.ok else "ledger.wrong")).style(
        f"font-weight: 600; color: var(--q-{'positive' if check.ok else 'negative'})"
    )
    facts(
        [
            (say("ledger.sum"), credits_of(check.sum_micro)),
            (say("ledger.transaction_count"), str(check.transactions)),
            (say("ledger.posting_count"), str(check.postings)),
            (say("ledger.account_count"), str(check.accounts)),
            (say("ledger.recomputed"), str(check.recomputed_charges)),
            (say("ledger.open_holds"), str(check.open_holds)),
            (say("ledger.open_holds_sum"), credits_of(check.open_holds_micro)),
        ]
    )
    for fault in check.faults:
        ui.label(fault)
