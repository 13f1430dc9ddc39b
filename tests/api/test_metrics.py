"""What processes count, and that the page about it tells all of it and no more."""

import re
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from intertie.cli.embedded import free_port
from intertie.control.metrics import REGISTRY, serve_metrics, watch_database
from intertie.control.watching import LastHour, Spans
from tests.api.network import Network, Party, wait_until

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
Labels = dict[str, str]


@pytest.fixture(scope="module")
def project(network: Network) -> Party:
    return network.project("counted")


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_the_page_names_every_metric_with_its_type_and_labels_and_no_other() -> None:
    rows = re.findall(r"^\| `(intertie_\w+)` \| (\w+) \| (.*?) \|", PAGE.read_text(), re.MULTILINE)
    told = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert len(told) == len(rows)
    known = {}
    for collector in REGISTRY._collector_to_names:
        for family in collector.collect():
            name = family.name + ("_total" if family.type == "counter" else "")
            known[name] = (family.type, tuple(getattr(collector, "_labelnames", ())))
    assert told == known


def test_every_metric_has_its_unit_in_its_name_and_a_sentence_about_it() -> None:
    for family in REGISTRY.collect():
        assert family.name.startswith("intertie_")
        assert family.documentation
        if family.type == "histogram":
            assert family.name.endswith("_seconds")


def test_metrics_are_for_the_operator_s_token_and_can_be_parsed(
    network: Network, project: Party
) -> None:
    with httpx.Client(base_url=network.url, trust_env=False) as http:
        assert http.get("/metrics").status_code == 401
        as_project = {"Authorization": f"Bearer {project.token}"}
        assert http.get("/metrics", headers=as_project).status_code == 403
        told = http.get("/metrics", headers={"Authorization": f"Bearer {network.operator}"})
    assert told.status_code == 200
    families = {family.name for family in text_string_to_metric_families(told.text)}
    assert {"intertie_requests", "intertie_rounds", "intertie_is_leader"} <= families
    assert network.operator not in told.text


def test_a_job_is_counted_by_its_door_its_rounds_and_the_leader(
    network: Network, project: Party
) -> None:
    route: Labels = {"method": "POST", "route": "/v1/jobs"}
    before = value("intertie_requests_total", **route, status="201")
    refused = value("intertie_round_refusals_total", code="not_enough_cpus")
    settled = value("intertie_job_events_total", code="job_settled")
    agent = network.pool("counting")
    project.submit()
    [lease] = agent.take()
    agent.run(lease)
    agent.end(lease)
    assert project.http.post("/jobs", json={"spec": _too_large()}).status_code == 422
    wait_until(lambda: value("intertie_job_events_total", code="job_settled") == settled + 1)
    assert value("intertie_requests_total", **route, status="201") == before + 1
    assert value("intertie_appended_rows_total", kind="job") >= 2
    assert value("intertie_round_wait_seconds_count", kind="job") >= 2
    assert value("intertie_round_refusals_total", code="not_enough_cpus") == refused + 1
    assert value("intertie_door_refusals_total", code="not_enough_cpus") >= 1
    for step in ("enter", "believe", "admit", "place", "reconcile", "settle", "explain"):
        assert value("intertie_step_seconds_total", step=step) > 0, step
    assert value("intertie_round_commit_seconds_count") == value("intertie_rounds_total")
    wait_until(lambda: value("intertie_pools", state="online") >= 1)
    assert value("intertie_is_leader") == 1
    assert value("intertie_lent_cores") >= 2
    accounts = ("issuance", "wallet", "escrow", "earnings", "fees")
    wait_until(lambda: value("intertie_balance_microcredits", account="wallet") > 0)
    assert sum(value("intertie_balance_microcredits", account=each) for each in accounts) == 0


def test_ids_in_addresses_make_no_series_of_their_own(network: Network, project: Party) -> None:
    for job in ("job-000a", "job-000b"):
        project.http.get(f"/jobs/{job}")
    project.http.get("/nothing/of/the/kind")
    routes = {
        sample.labels["route"]
        for family in REGISTRY.collect()
        if family.name == "intertie_requests"
        for sample in family.samples
    }
    assert "/v1/jobs/{job}" in routes
    assert not any("job-000" in route or "kind" in route for route in routes)


def test_a_process_is_read_on_loopback_without_a_token_until_it_ends() -> None:
    port = free_port()
    end = serve_metrics(port)
    told = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
    assert "intertie_is_leader" in told.text
    end()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)


def test_what_the_database_fails_is_counted_by_its_class() -> None:
    engine = create_engine("sqlite://")
    watch_database(engine)
    before = value("intertie_database_errors_total", error="OperationalError")
    with pytest.raises(OperationalError), engine.connect() as connection:
        connection.execute(text("SELECT nothing FROM nowhere"))
    engine.dispose()
    assert value("intertie_database_errors_total", error="OperationalError") == before + 1


def test_codes_are_counted_for_an_hour_and_then_forgotten() -> None:
    counted, now = LastHour(), 100 * 3_600_000
    counted.note(now, ["no_funds", "no_funds", "over_budget"])
    counted.note(now + 59 * 60_000, ["no_funds"])
    assert counted.counts(now + 59 * 60_000) == {"no_funds": 3, "over_budget": 1}
    assert counted.counts(now + 60 * 60_000) == {"no_funds": 1}
    assert counted.counts(now + 120 * 60_000) == {}


def test_rounds_are_added_up_over_spans_and_only_those_that_are_over_are_told() -> None:
    spans, now = Spans(), 1_000_000_000
    for _ in range(10):
        spans.note(now, rows=5, decide_s=0.001, commit_s=0.004)
    assert spans.all(now) == []
    [span] = spans.all(now + 5_000)
    assert span == {
        "at": now,
        "rounds_per_s": 2.0,
        "rows_per_s": 10.0,
        "decide_ms": 1.0,
        "commit_ms": 4.0,
    }
    assert spans.all(now + 6 * 60_000) == []


def _too_large() -> dict[str, object]:
    return {"command": ["true"], "time_limit": "1m", "resources": {"cpus": 4_000}}
