"""The books: the proof, the accounts and the transactions."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from intertie.catalogue.texts import credits_of, has_text, text
from intertie.cli.render.base import Columns, credit_cells, short_moment
from intertie.wire.money import AccountView, LedgerCheck, TransactionView
from intertie.wire.parties import ProjectView


def check_view(check: LedgerCheck, lang: str) -> RenderableType:
    """Return whether the books are right, from how much they were recomputed, and each fault."""
    head = Text(text(lang, "cli.ledger.proved" if check.ok else "cli.ledger.wrong"))
    head.stylize("bold green" if check.ok else "bold red")
    counts = text(
        lang,
        "cli.ledger.counts",
        transactions=check.transactions,
        postings=check.postings,
        accounts=check.accounts,
        charges=check.recomputed_charges,
    )
    sums = text(
        lang,
        "cli.ledger.sums",
        sum_micro=check.sum_micro,
        holds=check.open_holds,
        held_micro=check.open_holds_micro,
    )
    faults = [Text(f"  {fault}", style="red") for fault in check.faults]
    return Group(head, Text(counts), Text(sums), *faults)


def accounts_table(accounts: Sequence[AccountView], lang: str) -> Table:
    """Return every account with its balance."""
    columns = Columns(lang, text(lang, "cli.ledger.accounts")).word("account").word("account_kind")
    columns.word("owner").number("balance")
    balances = credit_cells([account.balance_micro for account in accounts])
    return columns.rows(
        [account.id, _kind("account", account.kind, lang), account.owner or "–", balance]
        for account, balance in zip(accounts, balances, strict=True)
    )


def transactions_table(
    transactions: Sequence[TransactionView], accounts: Sequence[AccountView], lang: str
) -> Table:
    """Return one row for each posting, under its transaction, with the accounts' names."""
    names = {account.id: _name(account, lang) for account in accounts}
    columns = Columns(lang, text(lang, "cli.ledger.transactions")).word("transaction", fixed=True)
    columns.word("at", fixed=True).word("why").word("source").word("destination")
    columns.number("amount").word("job", fixed=True)
    amounts = iter(credit_cells([p.amount_micro for t in transactions for p in t.postings]))
    rows: list[list[str]] = []
    for booked in transactions:
        kind = _kind("transaction", booked.kind, lang)
        for at, posting in enumerate(booked.postings):
            first = [booked.id, short_moment(booked.at), kind] if not at else ["", "", ""]
            source = _called(posting.source_kind, posting.source_owner, lang)
            destination = _called(posting.destination_kind, posting.destination_owner, lang)
            source = names.get(posting.source) or source or posting.source
            destination = names.get(posting.destination) or destination or posting.destination
            rows.append([*first, source, destination, next(amounts), booked.job or "–"])
    return columns.rows(rows)


def projects_table(projects: Sequence[ProjectView], lang: str) -> Table:
    """Return every project with its wallet, what is set aside, spent and used."""
    columns = Columns(lang, text(lang, "cli.projects.title")).word("id", fixed=True).word("project")
    columns.number("weight").number("wallet").number("held").number("spent")
    columns.number("service_units").word("state", fixed=True)
    wallets = credit_cells([project.wallet_micro for project in projects])
    held = credit_cells([project.held_micro for project in projects])
    spent = credit_cells([project.spent_micro for project in projects])
    return columns.rows(
        [
            project.id,
            project.name,
            str(project.weight),
            wallets[at],
            held[at],
            spent[at],
            f"{project.used_su:,.4f}",
            Text(text(lang, "cli.projects.blocked"), style="red") if project.is_blocked else "",
        ]
        for at, project in enumerate(projects)
    )


def balance_line(project: ProjectView, lang: str) -> str:
    """Return a project's balance after something changed it."""
    return text(
        lang,
        "cli.projects.balance",
        project=project.name,
        wallet=credits_of(project.wallet_micro, lang),
    )


def _kind(group: str, kind: str, lang: str) -> str:
    key = f"{group}.{kind}"
    return text(lang, key) if has_text(lang, key) else kind


def _name(account: AccountView, lang: str) -> str:
    return _called(account.kind, account.owner, lang)


def _called(kind: str, owner: str, lang: str) -> str:
    if not kind:
        return ""
    word = _kind("account", kind, lang)
    return f"{word} {owner}" if owner else word
