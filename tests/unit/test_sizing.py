"""Sizing: what is stated, else what earlier runs took, else the time limit."""

from intertie.model.refusal import Refusal
from intertie.model.request import Resources
from intertie.model.sizing import History, Sizing
from intertie.model.units import MICRO
from intertie.planner.sizing import size
from tests.builders import a_request


def sized(history: History | None = None, **known: object) -> Sizing:
    found = size(a_request(**known), history or History())
    assert isinstance(found, Sizing), found
    return found


def test_what_is_stated_outranks_every_history() -> None:
    history = History().with_run("job", 99_000)
    assert (sized(history, expected_s=7).expected_s, sized(history).source) == (7, "stated")


def test_the_upper_quartile_of_earlier_runs_is_taken_when_nothing_is_stated() -> None:
    history = History()
    for ran_ms in (1_000, 9_001, 2_000, 3_000):
        history = history.with_run("job", ran_ms)
    found = sized(history, expected_s=0)
    assert (found.expected_s, found.source, found.samples) == (10, "history", 4)


def test_without_a_word_or_a_history_the_time_limit_is_taken() -> None:
    found = sized(History().with_run("other", 1), expected_s=0, time_limit_s=60)
    assert (found.expected_s, found.source) == (60, "time_limit")


def test_history_forgets_all_but_the_latest_runs() -> None:
    history = History()
    for ran_ms in range(30):
        history = history.with_run("job", ran_ms)
    assert history.of("job") == tuple(range(10, 30))


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
