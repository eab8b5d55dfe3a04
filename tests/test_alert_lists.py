"""Lists of alerts: what they cost does not grow with the alerts that they do not show."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from db.alerts import Chosen
from db.filters import Filter
from db.records import Feedback
from db.store import Store
from tests.support import DAY, HOUR, NOW
from tests.web_rig import SPIKE

SHOWN = 20
STEP = 10  # instructions of SQLite's machine
ASKED: Mapping[str, Callable[[Store], object]] = {
    "those that are over": lambda store: store.alerts.listed(Chosen(), False, SHOWN),
    "those that go on": lambda store: store.alerts.listed(Chosen(), True, SHOWN),
    "all that go on": lambda store: store.alerts.open(),
    "the newest that no other explains": lambda store: store.alerts.find(Filter(), SHOWN, parts=False),
    "what was said of some": lambda store: store.alerts.said(range(1, SHOWN)),
}


def raised(store: Store, first: int, last: int) -> None:
    """Store alerts from one to another number, each older than the one before, all but three over, each judged."""
    with store.transaction():
        for number in range(first, last):
            at = NOW - number * DAY
            ends = None if number < 3 else at + HOUR
            alert = replace(SPIKE, scope=f"source {number}", starts=at, last_seen=at, ends=ends, summary=str(number))
            made = store.alerts.save(alert, ())
            store.alerts.say(Feedback(made.id, "ann", NOW, "noise"))
            store.alerts.say(Feedback(made.id, "ann", NOW, "useful"))


def steps(store: Store, ask: Callable[[Store], object]) -> int:
    """Count what SQLite does for a question."""
    done = 0

    def count() -> None:
        nonlocal done
        done += STEP

    store._db.conn.set_progress_handler(count, STEP)
    ask(store)
    store._db.conn.set_progress_handler(None, 0)
    return done


@pytest.mark.parametrize("what", ASKED)
def test_a_list_costs_the_same_however_many_alerts_it_does_not_show(tmp_path: Path, what: str) -> None:
    with Store(tmp_path / "posts.db") as store:
        raised(store, 0, 100)
        few = steps(store, ASKED[what])
        raised(store, 100, 600)
        assert steps(store, ASKED[what]) < 1.5 * few


def test_the_newest_word_on_each_alert_that_is_asked_about_is_told(tmp_path: Path) -> None:
    with Store(tmp_path / "posts.db") as store:
        raised(store, 0, 5)
        assert {number: said.word for number, said in store.alerts.said([2, 4, 99]).items()} == {
            2: "useful",
            4: "useful",
        }
        assert set(store.alerts.said()) == {1, 2, 3, 4, 5}
        assert store.alerts.said([]) == {}
