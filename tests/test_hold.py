"""What explains an alert, or who has silenced it."""

import random
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from sqlite3 import IntegrityError

import pytest

from db.filters import Filter
from db.records import RULES, Alert, Silence
from db.store import Store
from jobs.hold import held, stories
from tests.support import HOUR, NOW

SPIKE = Alert(
    id=1,
    brand="Acme",
    rule="negative spike",
    starts=NOW - HOUR,
    last_seen=NOW,
    ends=None,
    severity="high",
    observed=10,
    expected=1.5,
    factor=6.7,
    probability=1e-6,
    window_minutes=60,
    mentions=12,
    share=0.8,
    usual_share=0.2,
    summary="",
    in_common=(),
)
OVER = replace(SPIKE, starts=NOW - 9 * HOUR, last_seen=NOW - 8 * HOUR, ends=NOW - 8 * HOUR)


def other(rule: str = "negative spike", scope: str = "", **more: object) -> Alert:
    return replace(SPIKE, **{"id": 2, "rule": rule, "scope": scope} | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("alert", "beside", "why"),
    [
        pytest.param(SPIKE, [], None, id="nothing beside it"),
        pytest.param(SPIKE, [SPIKE], None, id="no alert holds itself"),
        pytest.param(SPIKE, [other("volume spike")], None, id="the worse one is told"),
        pytest.param(other("volume spike"), [SPIKE], "part of alert 1, negative spike", id="and explains the other"),
        pytest.param(other("share shift"), [SPIKE], "part of alert 1, negative spike", id="a shift as well"),
        pytest.param(other(scope="source x"), [SPIKE], "part of alert 1, negative spike", id="and each of its slices"),
        pytest.param(SPIKE, [other(scope="source x")], None, id="a slice does not explain the whole"),
        pytest.param(other("single post", "x 17"), [SPIKE], None, id="a post that is severe is told alone"),
        pytest.param(
            other("single post", "x 17", severity="warning"),
            [SPIKE],
            "part of alert 1",
            id="one that carries far is not",
        ),
        pytest.param(other("volume spike", brand="Bolt"), [SPIKE], None, id="another brand's"),
        pytest.param(other("volume spike"), [OVER], None, id="what was over before"),
        pytest.param(
            other("silence"), [other("stale source", "x-main", id=3, brand="")], "x-main was not read", id="silence"
        ),
        pytest.param(
            other("silence"),
            [other("stale source", "x-main\nsearch:Acme", id=3, brand="")],
            None,
            id="one stream leaves hours partly read, in which nobody is silent",
        ),
        pytest.param(SPIKE, [other("stale source", "x-main", id=3, brand="")], None, id="posts are there all the same"),
    ],
)
def test_an_alert_is_told_where_it_is_explained(alert: Alert, beside: list[Alert], why: str | None) -> None:
    found = held(alert, beside, [], [], NOW)
    assert found is None if why is None else found is not None and why in found


@pytest.mark.parametrize(
    ("brand", "rule", "scope", "holds"),
    [
        ("Acme", None, None, True),
        (None, "negative spike", None, True),
        ("Acme", "negative spike", "", True),
        ("Bolt", None, None, False),
        ("Acme", "silence", None, False),
        ("Acme", "negative spike", "source x", False),
    ],
)
def test_a_silence_holds_what_it_names(brand: str | None, rule: str | None, scope: str | None, holds: bool) -> None:
    silence = Silence(7, NOW - HOUR, NOW + HOUR, "ann", "launch day", brand, rule, scope)
    found = held(SPIKE, [], [silence], [], NOW)
    assert found == ("silenced by ann until 2026-03-04 13:00 UTC (silence 7)" if holds else None)
    assert held(SPIKE, [], [silence], [], NOW + HOUR) is None
    assert held(SPIKE, [], [silence], [], NOW - HOUR - timedelta(seconds=1)) is None


def test_what_is_silenced_explains_nothing_while_it_is() -> None:
    silence = Silence(7, NOW - HOUR, NOW + HOUR, "ann", "launch day", "Acme", "negative spike")
    crowd = other("volume spike")
    was_held = replace(SPIKE, held="silenced by ann")
    assert held(crowd, [SPIKE], [silence], [], NOW) is None
    assert held(crowd, [was_held], [silence], [], NOW + HOUR) == "inhibited: part of alert 1, negative spike"


def test_a_competitors_alert_is_told_to_nobody_unless_asked_for() -> None:
    assert held(SPIKE, [], [], ["Bolt"], NOW) is None
    assert "competitors = true" in (held(SPIKE, [], [], ["Acme"], NOW) or "")


def test_people_are_shown_the_alerts_that_no_other_one_explains() -> None:
    crowd, slice_, post = other("volume spike"), other(scope="source x", id=3), other("single post", "x 17", id=4)
    assert stories([crowd, SPIKE, slice_, post]) == [SPIKE, post]


def test_a_list_from_the_database_leaves_out_what_another_one_explains(tmp_path: Path) -> None:
    dice, explained = random.Random(5), 0
    asked = (Filter(), Filter(brands=("Acme",)), Filter(NOW + 2 * HOUR, NOW + 5 * HOUR))
    with Store(tmp_path / "posts.db") as store:
        for chosen in (*asked, *asked, *asked):
            with store.transaction():
                store._db.execute("DELETE FROM alerts")
                for n in range(25):
                    starts = NOW + dice.randrange(8) * HOUR
                    ends = starts + dice.randrange(3) * HOUR
                    made = other(
                        dice.choice(RULES),
                        dice.choice(("", "", f"slice {n}", f"x-main\n{n}")),
                        id=0,
                        brand=dice.choice(("Acme", "Acme", "Bolt", "")),
                        severity=dice.choice(("warning", "high")),
                        starts=starts,
                        last_seen=ends,
                        ends=ends,
                    )
                    with suppress(IntegrityError):  # of one cause, one is open
                        store.alerts.save(replace(made, ends=None if n % 5 == 0 else ends), ())
            for going_on in (False, True):
                every = [alert for alert in store.alerts.find(chosen) if alert.ends is None or not going_on]
                assert store.alerts.find(chosen, going_on=going_on) == every
                assert store.alerts.find(chosen, going_on=going_on, parts=False) == stories(every)
                assert store.alerts.find(chosen, 2, going_on=going_on, parts=False) == stories(every)[:2]
                explained += len(every) - len(stories(every))
    assert explained > 20
