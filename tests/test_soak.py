"""Hours of simulated trouble end with the posts that the servers hold, and no trouble spends more than the budget."""

from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.soak import show, soak
from benchmarks.soak_budget import prove

HOUR = timedelta(hours=1)


def test_six_hours_of_faults_and_kills_lose_nothing_that_coverage_does_not_tell(tmp_path: Path) -> None:
    result = soak(6, 7, tmp_path, settling=2 * HOUR)
    assert {found.name: dict(found.wrong) for found in result.findings} == {found.name: {} for found in result.findings}
    assert not result.wrong
    assert sum(found.stored for found in result.findings) > 100
    assert result.kills > result.asking > 0
    assert sum(sum(served.values()) for served in result.served.values()) > 10


def test_fifty_runs_with_kills_and_restarts_spend_no_more_than_the_budget(tmp_path: Path) -> None:
    proof = prove(50, 1, tmp_path)
    assert not proof.wrong
    assert proof.kills
    assert proof.together
    assert max(month.metered / month.cap for month in proof.months) > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_two_hundred_hours_end_with_what_the_servers_hold(tmp_path: Path, seed: int) -> None:
    result = soak(200, seed, tmp_path)
    show(result)
    assert not result.wrong
    assert not any(result.unmet.values())


@pytest.mark.slow
def test_a_thousand_runs_spend_no_more_than_the_budget(tmp_path: Path) -> None:
    assert not prove(1_000, 1, tmp_path).wrong
