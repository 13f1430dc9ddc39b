"""A graph of three stages over two real providers, each of which can do only its own."""

from collections import Counter
from pathlib import Path

import pytest

from tests.servers.slurm import SlurmCluster, slurm_beta
from tests.support.stages import ANSWER, run, two_providers

__all__ = ["slurm_beta"]


@pytest.mark.timeout(600)
def test_three_stages_over_two_providers_give_the_right_result_in_order_and_pay_both(
    slurm_beta: SlurmCluster, tmp_path: Path
) -> None:
    with two_providers(slurm_beta, "stages") as there:
        graph = run(there.client, tmp_path, lasts_s=2)
        assert graph.answer == ANSWER
        assert graph.is_in_order()
        used = [{attempt.provider for attempt in stage.attempts} for stage in graph.stages]
        assert used == [{"desk"}, {"beta"}, {"desk"}]
        assert [len(stage.attempts) for stage in graph.stages] == [1, 2, 1]
        names = [stage.job.id for stage in graph.stages]
        assert [stage.job.spec["after"] for stage in graph.stages] == [[], names[:1], names[1:2]]
        earned: Counter[str] = Counter()
        for stage in graph.stages:
            receipt = stage.receipt
            assert (receipt.sum_micro, receipt.held_micro) == (0, 0)
            assert receipt.paid_micro == sum(line.amount_micro for line in receipt.lines) > 0
            earned.update({line.provider: line.paid_micro for line in receipt.by_provider})
        accounts = [each for each in there.operator.accounts() if each.owner in there.providers]
        assert {each.owner: each.balance_micro for each in accounts} == earned
        assert all(earned[name] > 0 for name in there.providers)
        proof = there.operator.ledger_check()
        assert (proof.ok, proof.open_holds) == (True, 0), proof.faults
