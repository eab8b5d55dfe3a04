"""Detection day by day: nothing looks ahead, a restart changes nothing, what was not seen is not taken for silence."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from models.counts import DAY, Counts
from models.spikes import LAYOUT, Looked, fold, fresh, look, replay
from models.state import Past, pack, unpack

START = datetime(2026, 1, 5, tzinfo=UTC)
RATES = (1.0, 20.0, 20.0, 300.0)  # mentions an hour


def talk(days: int, seed: int = 1, rates: tuple[float, ...] = RATES) -> Counts:
    """Counts with a daily cycle, everything seen."""
    rng = np.random.default_rng(seed)
    mean = np.array(rates)[:, None] / 12 * (1 + 0.8 * np.sin(2 * np.pi * np.arange(days * DAY) / DAY))
    negatives, others = (rng.poisson(mean * part).astype(float) for part in (0.25, 0.75))
    return Counts(START, negatives, others, np.ones_like(mean))


def learnt(counts: Counts) -> Past:
    return replay(fresh(len(counts.negatives), counts.day), counts)[1]


def day(counts: Counts, number: int, steps: int = DAY) -> Counts:
    return counts.part(number * DAY, number * DAY + steps)


def with_bursts(counts: Counts) -> Counts:
    """Bursts of all sizes, one a day."""
    negatives = counts.negatives.copy()
    for number in range(counts.steps // DAY):
        negatives[:, number * DAY + 150 : number * DAY + 162] *= 1 + number % 5
        negatives[:, number * DAY + 152] += number % 7
    return replace(counts, negatives=negatives)


def assert_same(left: Looked, right: Looked) -> None:
    for field in fields(Looked):
        one, other = getattr(left, field.name), getattr(right, field.name)
        assert np.array_equal(one, other), field.name


def steps(looked: Looked, here: slice) -> Looked:
    arrays = {f.name: getattr(looked, f.name)[:, here] for f in fields(Looked) if f.name != "start"}
    return Looked(looked.start + timedelta(minutes=5 * (here.start or 0)), **arrays)


@pytest.fixture(scope="module")
def story() -> Counts:
    return with_bursts(talk(9))


@pytest.fixture(scope="module")
def known(story: Counts) -> Past:
    return learnt(story.part(0, 8 * DAY))


@pytest.mark.parametrize("step", [1, 40, 152, 155, 287])
def test_what_comes_later_changes_no_score_of_a_step_before(story: Counts, known: Past, step: int) -> None:
    whole = day(story, 8)
    other = replace(whole, negatives=whole.negatives.copy(), others=whole.others.copy(), seen=whole.seen.copy())
    other.negatives[:, step:] = 1000 - other.negatives[:, step:]
    other.others[:, step:], other.seen[:, step:] = 0, 0.5
    before = steps(look(known, whole), slice(0, step))
    assert before.score.max() > 0 or step < 150
    assert_same(before, steps(look(known, other), slice(0, step)))
    assert_same(before, look(known, day(story, 8, step)))


def test_looking_at_the_last_steps_alone_gives_their_scores(story: Counts, known: Past) -> None:
    whole = look(known, day(story, 8))
    assert_same(steps(whole, slice(155, 158)), look(known, day(story, 8, 158), first=155))


def test_a_restart_from_what_is_stored_gives_identical_scores(story: Counts) -> None:
    looked, past = replay(fresh(4, story.day), story)
    again = fresh(4, story.day)
    for number in range(9):
        today = day(story, number)
        assert_same(steps(looked, slice(number * DAY, (number + 1) * DAY)), look(again, today))
        again = fold(again, today)
        again = unpack(LAYOUT, [pack(again, row) for row in range(4)])
    assert (again.day, again.values.tobytes()) == (past.day, past.values.tobytes())


def test_a_series_has_the_same_scores_alone_and_in_company(story: Counts, known: Past) -> None:
    together = look(known, day(story, 8))
    for row in range(4):
        here = slice(row, row + 1)
        alone = Counts(START, story.negatives[here], story.others[here], story.seen[here])
        past = learnt(alone.part(0, 8 * DAY))
        assert np.array_equal(past.values, known.values[here])
        assert np.array_equal(look(past, day(alone, 8)).score[0], together.score[row])


def test_learning_lasts_48_hours_that_were_seen_and_says_so() -> None:
    counts = talk(5, rates=(60.0, 60.0))
    counts.negatives[:, :100], counts.others[:, :100] = 0, 0  # not watched yet
    counts.negatives[:, 102] = 500
    counts.negatives[:, 300::50] = 500
    counts.seen[1, 200:320] = 0
    looked, _ = replay(fresh(2, counts.day), counts)
    for row, until in ((0, 100 + 576), (1, 100 + 576 + 120)):
        first = np.flatnonzero((counts.negatives[row] + counts.others[row]) > 0)[0]
        until += int(first) - 100
        assert looked.learning[row, :until].all()
        assert not looked.learning[row, until:].any()
        assert not looked.score[row, :until].any()
        assert looked.score[row, until:].max() > 4


def test_a_gap_is_missing_and_not_silence() -> None:
    counts = talk(16, rates=(60.0,) * 24)
    missing, silent = slice(8, 16), slice(16, 24)
    for number in range(5, 15):  # every day the same hours
        gap = slice(number * DAY + 60, number * DAY + 96)
        for array in (counts.negatives, counts.others):
            array[8:, gap] = 0
        counts.seen[missing, gap] = 0
    looked, _ = replay(fresh(24, counts.day), counts)
    a_step = looked.expected / looked.window
    missed = slice(15 * DAY + 60, 15 * DAY + 96)
    usual = a_step[:8, missed].mean()
    assert 0.85 * usual < a_step[missing, missed].mean() < 1.15 * usual
    assert a_step[silent, missed].mean() < 0.75 * usual
    others = slice(14 * DAY + 140, 15 * DAY)
    assert a_step[missing, others].mean() == pytest.approx(a_step[:8, others].mean(), rel=0.1)


def test_windows_that_were_hardly_seen_score_nothing() -> None:
    counts = talk(10, rates=(60.0, 60.0))
    counts.negatives[:, -30:] += 30
    counts.seen[1, -42:] = 0
    looked, _ = replay(fresh(2, counts.day), counts)
    assert looked.score[0, -30:].max() > 8
    assert not looked.score[1, -24:].any()  # before, half of the last three hours was seen


def test_half_of_the_posts_are_held_against_half_of_the_expectation() -> None:
    counts = talk(20, rates=(240.0, 240.0))
    rng = np.random.default_rng(5)
    half = slice(18 * DAY, 20 * DAY)
    for array in (counts.negatives, counts.others):
        array[1, half] = rng.binomial(array[0, half].astype(int), 0.5)
    counts.seen[1, half] = 0.5
    looked, _ = replay(fresh(2, counts.day), counts)
    last = slice(19 * DAY, 20 * DAY)
    whole, part = looked.expected[0, last][looked.window[0, last] == 3], looked.expected[1, last]
    assert 0.4 < part[looked.window[1, last] == 3].mean() / whole.mean() < 0.6
    assert looked.score[1, last].max() < 4


def test_past_bursts_are_not_what_is_expected_next() -> None:
    counts = talk(15, rates=(60.0, 60.0))
    for number in (7, 13):  # a week ago, and yesterday
        counts.negatives[1, number * DAY + 100 : number * DAY + 124] += 20
    looked, _ = replay(fresh(2, counts.day), counts)
    calm, burst = looked.expected[:, 14 * DAY + 100 : 14 * DAY + 124].mean(axis=1)
    assert burst < 1.5 * calm


def test_a_mood_that_has_lasted_for_hours_is_expected_to_last_a_while() -> None:
    counts = talk(16, rates=(300.0, 300.0))
    rng = np.random.default_rng(2)
    since = 15 * DAY + 60
    counts.negatives[1, since : since + 96] = counts.negatives[0, since : since + 96]
    counts.negatives[1, since : since + 96] += rng.poisson(0.5 * counts.negatives[0, since : since + 96])
    counts.others[1, since - DAY :] = counts.others[0, since - DAY :]
    counts.negatives[1, since - DAY : since] = counts.negatives[0, since - DAY : since]
    looked, _ = replay(fresh(2, counts.day), counts)
    calm, angry = looked.usual_share[:, since + 90]
    assert 1.15 * calm < angry < 1.5 * calm
    before, same = looked.usual_share[:, since + 6]
    assert same == pytest.approx(before, rel=0.1)


def test_calm_counts_lie_in_the_interval_that_is_told() -> None:
    counts = talk(22, rates=(5.0, 60.0, 600.0))
    looked, _ = replay(fresh(3, counts.day), counts)
    last = steps(looked, slice(15 * DAY, 22 * DAY))
    inside = (last.low <= last.observed) & (last.observed <= last.high)
    assert (inside.mean(axis=1) > 0.9).all()  # of three windows the one that stands out most is told
    assert (last.low <= last.expected).all()
    assert (last.expected <= last.high).all()
    assert (last.high[2] < 3 * last.expected[2]).all()


def test_counts_that_do_not_belong_to_the_past_are_refused(story: Counts, known: Past) -> None:
    with pytest.raises(ValueError, match="2026-01-13 is no past of counts of 2026-01-12"):
        look(known, day(story, 7))
    with pytest.raises(ValueError, match="a day has 288 steps, not 287"):
        fold(known, day(story, 8, 287))
    with pytest.raises(ValueError, match="midnight"):
        story.part(1, 5)
    with pytest.raises(ValueError, match="one shape"):
        Counts(START, np.zeros((1, 2)), np.zeros((1, 3)), np.zeros((1, 2)))


def test_states_of_another_layout_or_of_two_days_are_refused(story: Counts, known: Past) -> None:
    stored = pack(known, 0)
    assert len(stored) < 16_384
    next_day = pack(fold(known, day(story, 8)), 0)
    for wrong in ([stored, next_day], [stored[:-4]], [b"another" + stored[7:]], []):
        with pytest.raises(ValueError, match="negative"):
            unpack(LAYOUT, wrong)
    assert unpack(LAYOUT, [stored]).day == date(2026, 1, 13)
