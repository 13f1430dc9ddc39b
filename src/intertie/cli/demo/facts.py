"""The same facts for machines: `receipt.json`, from the network's own records."""

import json
from pathlib import Path
from typing import Any

from intertie.client import Intertie
from intertie.wire.base import plain
from intertie.wire.jobs import Receipt, RefusedView
from intertie.wire.money import LedgerCheck


def facts(
    operator: Intertie,
    receipts: dict[str, Receipt],
    check: LedgerCheck,
    winner: dict[str, Any],
    took_s: float,
) -> dict[str, Any]:
    """Return what the network's records say of the demo; `winner` is read from the result files."""
    paid: dict[str, int] = {}
    for receipt in receipts.values():
        for part in receipt.by_provider:
            paid[part.provider] = paid.get(part.provider, 0) + part.paid_micro
    offers = list(operator.offers())
    lines = [line for receipt in receipts.values() for line in receipt.lines]
    return {
        "providers": [
            {"name": provider.name, "paid_micro": paid.get(provider.name, 0)}
            for provider in operator.providers()
        ],
        "meters_difference_percent_max": max(
            (receipt.meters_difference_percent_max for receipt in receipts.values()), default=0
        ),
        "meters_difference_s_max": max(
            (round(abs(line.agent_s - line.network_s), 3) for line in lines), default=0
        ),
        "disputes": sum(line.is_disputed for line in lines),
        "books_ok": check.ok,
        "tasks_total": sum(receipt.tasks_total for receipt in receipts.values()),
        "tasks_resumed": sum(receipt.tasks_resumed for receipt in receipts.values()),
        "refusals": [
            {"at": each.at, "name": each.name, **plain(each.refusal), **_pools(each)}
            for each in operator.refusals()
        ],
        "accuracy_best": winner["test_accuracy"],
        "accuracy_best_validation": winner["val_accuracy"],
        "projects": [
            {
                "name": name,
                "job": receipt.job,
                "paid_micro": receipt.paid_micro,
                "fee_micro": receipt.fee_micro,
                "quoted_micro": receipt.quoted_micro,
                "service_units": receipt.service_units,
            }
            for name, receipt in receipts.items()
        ],
        "offers": [plain(offer) for offer in offers],
        "not_enforced": sorted({code for offer in offers for code in offer.not_enforced}),
        "ledger": plain(check),
        "took_s": round(took_s, 1),
    }


def write(path: Path, found: dict[str, Any]) -> None:
    """Write the facts beside the rest of the demo's output."""
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def _pools(refused: RefusedView) -> dict[str, Any]:
    return {"pools": [plain(reason) for reason in refused.pools]}
