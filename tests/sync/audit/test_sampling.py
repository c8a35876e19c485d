"""Which blobs a deep audit reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.sync.audit.sampling import Sampling

NAMES = [f"exports/2026/11/{number:05}.parquet" for number in range(20_000)]


def test_a_share_chooses_about_that_many() -> None:
    """Of 20,000 names one in a hundred."""
    sampling = Sampling.of_share(0.01, "seed")

    assert 150 < sum(name in sampling for name in NAMES) < 250


def test_a_seed_chooses_the_same_names_and_another_seed_others() -> None:
    """So a sample can be repeated, and the next night reads other blobs."""
    samples = [{name for name in NAMES if name in Sampling.of_share(0.05, seed)} for seed in ("a", "a", "b")]

    assert samples[0] == samples[1]
    assert len(samples[0] & samples[2]) < len(samples[0]) / 4


@given(name=st.text(), nights=st.integers(1, 400))
def test_each_name_is_read_in_exactly_one_of_the_nights(name: str, nights: int) -> None:
    """Whatever its text."""
    assert sum(name in Sampling.of_night(night, nights) for night in range(nights)) == 1


@given(name=st.text(), night=st.integers(0, 10**6))
def test_after_the_last_night_the_first_part_comes_again(name: str, night: int) -> None:
    """So the number of the day is a night's number."""
    assert (name in Sampling.of_night(night, 30)) == (name in Sampling.of_night(night % 30, 30))


@given(name=st.text())
def test_the_whole_share_chooses_every_name(name: str) -> None:
    """And no sample at all."""
    assert name in Sampling()
    assert name in Sampling.of_share(1.0, "seed")


def test_the_choice_is_that_of_earlier_versions() -> None:
    """A sample that is named by its seed in a report can be repeated years later."""
    assert [number for number, name in enumerate(NAMES[:300]) if name in Sampling.of_share(0.01, "seed")] == [238]
