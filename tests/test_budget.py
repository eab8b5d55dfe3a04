"""Money and rations: what all sources share, what each call is counted as, and who is read first."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from db.errors import BudgetSpent
from db.store import Store
from jobs.meter import StoreMeter
from monitor import plugins
from monitor.app import App
from monitor.config import load_text
from tests.cli_rig import configure, said, sentimon, told

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CENT = Decimal("0.01")
TWO_SOURCES = """
[[brands]]
name = "Acme"
query = "acme"

[[sources]]
kind = "x"
bearer_token = "abc"

[[sources]]
kind = "file"
path = "posts.jsonl"
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as opened:
        for name in ("a", "b"):
            opened.sources.configured(name, "x", "1")
        yield opened


def test_sources_that_share_a_budget_never_pass_it_together(store: Store) -> None:
    first = StoreMeter(store, "a", None, NOW, total=10 * CENT)
    second = StoreMeter(store, "b", 8 * CENT, NOW, total=10 * CENT)
    first.reserve(6 * CENT)
    assert (first.left(), second.left()) == (4 * CENT, 4 * CENT)
    with pytest.raises(BudgetSpent, match="monthly budget"):
        second.reserve(5 * CENT)
    second.reserve(4 * CENT)
    with pytest.raises(BudgetSpent, match=r"of all sources, 0\.10"):
        first.reserve(CENT)


def test_a_run_leaves_what_it_is_to_keep_for_others(store: Store) -> None:
    meter = StoreMeter(store, "a", 10 * CENT, NOW, kept=7 * CENT)
    assert meter.left() == 3 * CENT
    with pytest.raises(BudgetSpent):
        meter.reserve(4 * CENT)


def test_prices_below_what_is_counted_in_do_not_add_up_to_more_than_the_budget(store: Store) -> None:
    price, budget, spent = Decimal("0.0000019"), Decimal("0.00001"), Decimal(0)
    meter = StoreMeter(store, "a", budget, NOW)
    with pytest.raises(BudgetSpent):  # noqa: PT012 - the last of many
        for _ in range(20):
            meter.reserve(price)
            meter.settle(price)
            spent += price
    assert budget / 2 < spent <= budget


def test_a_ration_is_kept_over_restarts_and_ends_with_its_period(store: Store) -> None:
    midnight = NOW + timedelta(hours=12)
    StoreMeter(store, "a", None, NOW).use(70, 100, "2026-11-20", midnight)
    with Store(store.path) as again:
        meter = StoreMeter(again, "a", None, NOW)
        with pytest.raises(BudgetSpent, match="ration of 100 units") as spent:
            meter.use(31, 100, "2026-11-20", midnight)
        assert spent.value.not_before == midnight
        meter.use(30, 100, "2026-11-20", midnight)
        meter.use(100, 100, "2026-11-21", midnight)
        StoreMeter(again, "b", None, NOW).use(100, 100, "2026-11-20", midnight)


def test_the_cheapest_source_is_read_first(tmp_path: Path) -> None:
    settings = load_text(f"monthly_budget = 5\n{TWO_SOURCES}", tmp_path / "sentimon.toml", plugins.load(False), {})
    sources = [source for _, source in App(settings).sources]
    assert [(source.name, source.price) for source in sources] == [("file", 0), ("x", Decimal("0.005"))]
    assert {source.total_budget for source in sources} == {Decimal(5)}


@pytest.mark.parametrize("amount", ["-1", '"5"', "inf"])
def test_a_budget_is_an_amount_of_money(tmp_path: Path, amount: str) -> None:
    (tmp_path / "sentimon.toml").write_text(f"monthly_budget = {amount}\n{TWO_SOURCES}", encoding="utf-8")
    result = sentimon("check", "--config", str(tmp_path / "sentimon.toml"))
    assert result.exit_code == 2
    assert "monthly_budget" in result.stderr
    assert result.stderr.count("\n") == 1


def test_status_shows_how_each_hour_was_read_and_what_was_metered(tmp_path: Path) -> None:
    (tmp_path / "posts.jsonl").write_text(
        '{"id": "1", "source": "x", "author": "a", "created_at": "2026-03-04T11:00:00Z", "text": "acme"}\n'
    )
    path = str(configure(tmp_path, '[[sources]]\nkind = "file"\npath = "posts.jsonl"'))
    assert "nothing was read yet" in said(sentimon("status", "--coverage", "--config", path))
    said(sentimon("run", "--once", "--job", "collect", "--config", path))
    shown = said(sentimon("status", "--coverage", "--config", path))
    assert "file (file): 1 complete, 0 partial, 0 missing; this month 1 call, 1 post," in shown
    (source,) = told("status", "--coverage", "--config", path)["sources"]
    assert [hour["state"] for hour in source["hours"]] == ["complete"]
    assert source["not_complete"] == []


def test_a_higher_shared_budget_ends_the_wait_for_the_next_month(tmp_path: Path) -> None:
    """A source whose fingerprint is another one is tried again at once."""

    def fingerprint(amount: int) -> str:
        text = f"monthly_budget = {amount}\n{TWO_SOURCES}"
        settings = load_text(text, tmp_path / "sentimon.toml", plugins.load(False), {})
        return next(source.fingerprint for _, source in App(settings).sources if source.kind == "x")

    assert fingerprint(5) == fingerprint(5) != fingerprint(9)
