"""Hours of simulated trouble end with the posts that the servers hold, and no trouble spends more than the budget."""

from contextlib import ExitStack
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random

import pytest

from benchmarks.soak import BEGINS, config_of, show, soak
from benchmarks.soak_budget import prove
from benchmarks.soak_check import check
from benchmarks.soak_platforms import Post
from benchmarks.soak_webhook import Webhook
from benchmarks.soak_worker import Worker
from benchmarks.soak_world import marked

HOUR = timedelta(hours=1)


def test_three_hours_of_faults_and_kills_lose_nothing_that_coverage_does_not_tell(tmp_path: Path) -> None:
    result = soak(3, 7, tmp_path, settling=2 * HOUR)
    assert {found.name: dict(found.wrong) for found in result.findings} == {found.name: {} for found in result.findings}
    assert not result.wrong
    assert sum(found.stored for found in result.findings) > 100
    assert result.kills
    assert sum(sum(served.values()) for served in result.served.values()) > 10


def test_a_webhook_that_is_killed_anywhere_in_a_request_loses_and_doubles_nothing(tmp_path: Path) -> None:
    shop = Webhook(BEGINS, Random(1))
    with ExitStack() as stack:
        shop.open(stack)
        worker = stack.enter_context(Worker(config_of([shop]), tmp_path))
        for dies_at in count(1):
            if not shop.waiting:
                post = Post(dies_at, marked("acme is down", dies_at), BEGINS, BEGINS)
                shop.add(post)
                shop.posts.append(post)
            if shop.ask(worker, dies_at):
                break
    assert shop.deaths == worker.kills > 10
    found = check(shop, tmp_path / "soak.db", [], (BEGINS, BEGINS + 3 * HOUR), True)
    assert (found.held, found.stored, found.wrong) == (1, 1, {})


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
    assert result.kills > result.asking > 0
    assert not any(result.unmet.values())


@pytest.mark.slow
def test_a_thousand_runs_spend_no_more_than_the_budget(tmp_path: Path) -> None:
    assert not prove(1_000, 1, tmp_path).wrong
