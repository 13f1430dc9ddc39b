"""Readers on slices of real files, and on files that are not what their names say."""

import gzip
from pathlib import Path

import pytest

from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.trace import BadTrace, in_order, merged

SLICES = Path(__file__).parent / "traces"


def test_the_first_jobs_of_kth_are_read_as_they_stand_there() -> None:
    trace = read_trace(SLICES / "kth-sp2-first-400.swf")
    assert (len(trace), trace.capacity) == (400, 100)
    first = (trace.submit_ms[0], trace.run_ms[0], trace.length_ms[0], trace.units[0])
    assert first == (0, 97_225_000, 210_000_000, 56)
    assert trace.user[:4].tolist() == [0, 1, 1, 2]
    assert (trace.length_ms >= trace.run_ms).all()


def test_a_compressed_log_reads_as_the_plain_one(tmp_path: Path) -> None:
    plain = SLICES / "kth-sp2-first-400.swf"
    packed = tmp_path / "kth.swf.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_trace(packed).submit_ms.tolist() == read_trace(plain).submit_ms.tolist()


def test_a_cluster_of_itp_is_read_by_submission() -> None:
    trace = read_trace(SLICES / "itp-cluster03-first-60.csv")
    assert len(trace) == 60
    assert (trace.submit_ms[0], trace.run_ms[0], trace.units[0]) == (911_907_000, 709_000, 32)
    assert trace.submit_ms.tolist() == sorted(trace.submit_ms.tolist())


@pytest.mark.parametrize(("length", "run_ms"), [("2", 2_000), ("1.5", 5_400_000)])
def test_a_sample_of_pai_with_broken_lengths_counts_hours(
    length: str, run_ms: int, tmp_path: Path
) -> None:
    path = tmp_path / "pai.csv"
    path.write_text(f"arrival_time,length,cpus\n1,{length},3\n")
    trace = read_trace(path)
    assert (trace.run_ms[0], trace.units[0]) == (run_ms, 3)


def test_merged_traces_keep_every_job_by_submission_and_every_user_apart() -> None:
    one = in_order([(5, 1, 1, 1, 7), (0, 2, 2, 2, 8)])
    both = merged([one, in_order([(3, 3, 3, 3, 7)]), in_order([])])
    assert both.submit_ms.tolist() == [0, 3, 5]
    assert both.units.tolist() == [2, 3, 1]
    assert len(set(both.user.tolist())) == 3


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.swf", "1 2 3\n", "a.swf:1: 3 fields, not 18"),
        ("a.swf", "; empty\n", "no job in it ran"),
        ("a.swf", " ".join(["x"] * 18), "a.swf:1: .*write whole numbers"),
        ("a.csv", "id,num_gpu\n1,2\n", "its columns are id, num_gpu; known are"),
        ("a.csv", "submission_time,duration,num_gpu\n1,,2\n", "a.csv:2"),
        ("a.csv", "submission_time,duration,num_gpu\n1,0,2\n", "no job in it ran"),
        ("a.csv", "submission_time,duration,num_gpu\n1,nan,2\n", "a.csv:2: run is nan"),
        ("a.swf", "1 5 -1 60 -1 -1 -1 -1 60 " + "-1 " * 9, "a.swf:1: units is -1"),
        ("a.swf", "1 -5 -1 60 4 -1 -1 4 60 " + "-1 " * 9, "a.swf:1: submit is -5"),
        ("a.swf", "1 5 -1 1e30 4 -1 -1 4 60 " + "-1 " * 9, "a.swf:1: run is "),
        ("a.swf", "1 5 -1 inf 4 -1 -1 4 60 " + "-1 " * 9, "a.swf:1: .*infinity"),
        ("a.csv", "submission_time,duration,num_gpu\n1,9,0\n", "a.csv:2: units is 0"),
        ("a.txt", "", ".swf, .csv and .trace are"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_what(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(BadTrace, match=message):
        read_trace(path)


def test_what_is_no_text_or_was_cut_off_is_told_as_such(tmp_path: Path) -> None:
    binary, cut = tmp_path / "b.swf", tmp_path / "c.swf.gz"
    binary.write_bytes(b"\xff\xfe\x00")
    cut.write_bytes(gzip.compress((SLICES / "kth-sp2-first-400.swf").read_bytes())[:2000])
    for path in (binary, cut):
        with pytest.raises(BadTrace, match=f"{path.name} is damaged, or no text"):
            read_trace(path)
