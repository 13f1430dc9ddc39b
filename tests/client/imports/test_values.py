"""The values of sbatch's options."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intertie.client.imports import patterns, values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("1:30", 90),
        ("1:30:00", 5400),
        ("2-0", 172_800),
        ("1-12", 129_600),
        ("1-12:30", 131_400),
        ("1-12:30:15", 131_415),
        ("UNLIMITED", None),
        ("infinite", None),
        ("0", None),
        ("00:00", None),
    ],
)
def test_a_time_limit_is_read_in_all_its_forms(text: str, seconds: int | None) -> None:
    assert values.seconds(text) == seconds


@given(st.integers(0, 20), st.integers(0, 23), st.integers(0, 59), st.integers(1, 59))
def test_a_time_means_the_same_however_it_is_written(d: int, h: int, m: int, s: int) -> None:
    whole = d * 86_400 + h * 3600 + m * 60 + s
    assert values.seconds(f"{d}-{h:02}:{m:02}:{s:02}") == whole
    assert values.seconds(f"{d * 24 + h}:{m:02}:{s:02}") == whole
    assert values.seconds(f"{(d * 24 + h) * 60 + m}:{s:02}") == whole


@given(st.sets(st.integers(0, 500), min_size=1, max_size=40))
def test_an_array_has_the_indexes_that_were_listed(indexes: set[int]) -> None:
    assert values.array(",".join(map(str, indexes))).indexes == tuple(sorted(indexes))


@given(st.integers(0, 50), st.integers(0, 200), st.integers(1, 20))
def test_a_range_with_a_step_is_that_of_python(first: int, more: int, step: int) -> None:
    found = values.array(f"{first}-{first + more}:{step}%3")
    assert found == values.Array(tuple(range(first, first + more + 1, step)), step, 3)


@pytest.mark.parametrize(
    ("text", "mebibytes"),
    [("4000", 4000), ("16G", 16_384), ("2TB", 2 << 20), ("2048k", 2), ("1", 1), ("1500K", 2)],
)
def test_a_size_is_read_in_mebibytes_rounded_up(text: str, mebibytes: int) -> None:
    assert values.mebibytes(text) == mebibytes


@pytest.mark.parametrize(
    ("name", "shell", "result"),
    [
        ("a.out", "a.out", "a.out"),
        ("%x-%j.out", 'run-"$SLURM_JOB_ID".out', "run-*.out"),
        ("%%j", "%j", "%j"),
        ("a b%t", "'a b'\"0\"", "a b*"),
        ("[x]*", "'[x]*'", "?x]?"),
        ("%q%", "%q%", "%q%"),
        ("%4j", '"$(printf \'%04d\' "$SLURM_JOB_ID")"', "*"),
        ("raw\\%j", "raw%j", "raw%j"),
    ],
)
def test_a_file_name_is_filled_in_by_the_shell_and_found_by_a_pattern(
    name: str, shell: str, result: str
) -> None:
    assert patterns.in_shell(name, "run") == shell
    assert patterns.as_result(name, "run") == result
