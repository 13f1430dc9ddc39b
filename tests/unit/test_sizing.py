"""Sizing: what is stated, else what earlier runs took, else the time limit."""

from intertie.model.plain import from_plain, to_plain
from intertie.model.refusal import Refusal
from intertie.model.request import Resources
from intertie.model.sizing import History, Sizing
from intertie.model.units import MICRO
from intertie.planner.sizing import quantiles_of, run_of, size
from tests.builders import a_request


def sized(history: History | None = None, **known: object) -> Sizing:
    found = size(a_request(**known), history or History())
    assert isinstance(found, Sizing), found
    return found


def a_history(*runs: tuple[str, int]) -> History:
    """A history of (job name, run time in ms), all of one core and a time limit of an hour."""
    history = History()
    for name, ran_ms in runs:
        history = history.with_run(run_of(a_request(name=name, time_limit_s=3600), ran_ms))
    return history


def test_what_is_stated_outranks_every_history() -> None:
    history = a_history(("job", 99_000))
    assert (sized(history, expected_s=7).expected_s, sized(history).source) == (7, "stated")


def test_what_runs_of_that_name_took_is_expected_when_nothing_is_stated() -> None:
    found = sized(a_history(*[("job", 90_000)] * 8), expected_s=0, time_limit_s=3600)
    assert 80 <= found.expected_s <= 100
    assert (found.source, found.samples) == ("history", 8)


def test_without_a_word_or_a_history_the_time_limit_is_taken() -> None:
    found = sized(a_history(("other", 1)), expected_s=0, time_limit_s=60)
    assert (found.expected_s, found.source) == (60, "time_limit")


def test_a_new_name_is_expected_to_use_as_much_of_its_limit_as_the_others_did() -> None:
    others = [(f"other{at}", 360_000) for at in range(12)]
    found = sized(a_history(*others), expected_s=0, time_limit_s=36_000)
    assert 3_000 <= found.expected_s <= 4_500
    assert (found.source, found.samples) == ("history", 12)


def test_the_range_holds_what_is_likely_and_never_more_than_the_limit() -> None:
    history = a_history(*[("job", ran_ms) for ran_ms in (50_000, 70_000, 60_000, 3_000_000)])
    low, likely, high, samples = quantiles_of(history, a_request(name="job", time_limit_s=1800))
    assert 1 <= low <= likely <= high <= 1800
    assert samples == 4


def test_of_a_name_and_in_all_only_the_latest_runs_are_remembered() -> None:
    many = a_history(*[("job", at) for at in range(30)])
    assert [run.ran_ms for run in many.all()] == list(range(10, 30))
    full = a_history(*[(f"job{at}", at) for at in range(250)])
    assert [run.ran_ms for run in full.all()] == list(range(50, 250))


def test_what_an_older_network_remembered_is_read_and_kept() -> None:
    old = from_plain(History, {"runs_ms": [["job", [60_000] * 6]]})
    found = sized(old, expected_s=0, time_limit_s=3600)
    assert 50 <= found.expected_s <= 70
    newer = old.with_run(run_of(a_request(name="job"), 60_000))
    assert from_plain(History, to_plain(newer)) == newer
    assert len(newer.all()) == 7


def test_service_units_count_every_task_on_reference_units() -> None:
    found = sized(task_count=4, expected_s=900, resources=Resources(cpus_milli=1000))
    assert found.service_units_micro == MICRO


def test_a_job_with_devices_is_sized_in_devices() -> None:
    assert sized(resources=Resources(4000, device_class="a", device_count=2)).units_milli == 2000
    assert sized(resources=Resources(4000)).units_milli == 4000


def test_an_unknown_profile_is_refused_with_one_that_is_known() -> None:
    found = size(a_request(profile="gpu@9"), History())
    assert isinstance(found, Refusal)
    assert found.code == "profile_unknown"
    assert found.relaxation is not None
    assert found.relaxation.values == {"profile": "cpu@1"}
