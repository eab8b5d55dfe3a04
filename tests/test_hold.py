"""What explains an alert, or who has silenced it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from db.records import Alert, Silence
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
