"""The simulated brands are what their description says, and alerts are counted against them as it says."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import spikes
from benchmarks.brands import (
    APART,
    DAY,
    HOUR,
    LEARNING,
    WEEK,
    WEEKS,
    Brand,
    Burst,
    Event,
    Noise,
    Stream,
    brands,
    classified,
    posts,
)
from benchmarks.judged import Part, Total, judge
from benchmarks.oracle import oracle_scores
from benchmarks.volumes import read_volume, thinned
from db.errors import InputError
from models.rivals import RIVALS, crossings

SCORED = LEARNING * WEEK  # the first step that counts


@pytest.fixture(scope="module")
def drawn() -> list[Brand]:
    return list(brands(seed=5, each=4, rates=(3, 1000)))


@pytest.fixture(scope="module")
def big(drawn: list[Brand]) -> list[Brand]:
    return [one for one in drawn if one.stream.rate == 1000]


def test_a_brand_follows_from_its_seed_and_not_from_how_many_are_drawn(drawn: list[Brand]) -> None:
    for again, first in zip(brands(5, 1, (1000,)), (drawn[12], drawn[16], drawn[20]), strict=True):
        np.testing.assert_array_equal(again.stream.negatives, first.stream.negatives)
        np.testing.assert_array_equal(again.truth.others, first.truth.others)
        assert again.stream.bursts == first.stream.bursts
    other = next(brands(6, 1, (1000,)))
    assert not np.array_equal(other.stream.others, drawn[12].stream.others)


def test_brands_have_the_rate_the_share_and_the_length_that_were_asked_for(drawn: list[Brand]) -> None:
    assert [(one.stream.rate, one.share) for one in drawn[::4]] == [
        (rate, share) for rate in (3, 1000) for share in (0.1, 0.25, 0.4)
    ]
    for one in drawn:
        truth = one.truth.negatives + one.truth.others
        assert len(one.stream.negatives) == len(one.stream.others) == len(truth) == WEEKS * WEEK
        assert truth.mean() * HOUR == pytest.approx(one.stream.rate)
        assert one.truth.negatives.sum() / truth.sum() == pytest.approx(one.share, abs=0.02)
        assert one.stream.others.sum() == pytest.approx(one.truth.others.sum(), rel=0.25)


def test_days_and_weeks_have_a_cycle_and_the_level_drifts(drawn: list[Brand]) -> None:
    for one in drawn:
        days = (one.truth.negatives + one.truth.others).reshape(-1, 7, DAY)
        ratio = days[0, 0].max() / days[0, 0].min()
        assert 2.5 < ratio < 13  # 3 to 11, and what the level drifts in a day
        weekend = days[:, 5:].mean() / days[:, :5].mean()
        assert 0.4 < weekend < 1.15
    levels = [(one.truth.others[-WEEK:].sum() / one.truth.others[:WEEK].sum()) for one in drawn]
    assert max(levels) > 1.1
    assert min(levels) < 0.9


def test_bursts_and_events_last_one_to_three_hours_apart_and_in_the_learning_weeks_too(drawn: list[Brand]) -> None:
    for one in drawn:
        spans = sorted((each.start, each.end) for each in (*one.stream.bursts, *one.stream.events))
        assert all((end - start) in (HOUR, 2 * HOUR, 3 * HOUR) for start, end in spans)
        assert all(later[0] - earlier[1] >= APART for earlier, later in pairwise(spans))
    bursts = [burst for one in drawn for burst in one.stream.bursts]
    assert {burst.factor for burst in bursts} == {2, 3, 5}
    assert len(bursts) == pytest.approx(0.75 * WEEKS * len(drawn), rel=0.25)
    assert sum(burst.start < SCORED for burst in bursts) > len(bursts) / 5


def test_bursts_come_when_people_post(drawn: list[Brand]) -> None:
    at_bursts = [
        one.truth.others[burst.start] / one.truth.others.mean() for one in drawn for burst in one.stream.bursts
    ]
    assert np.mean(at_bursts) > 1.15


def test_a_burst_multiplies_the_negatives_and_counts_what_it_brought(big: list[Brand]) -> None:
    for factor in (2, 3, 5):
        with_it = without = 0
        for one in big:
            for burst in one.stream.bursts:
                if burst.factor == factor:
                    seen = int(one.stream.negatives[burst.start : burst.end].sum())
                    with_it, without = with_it + seen, without + seen - burst.excess
        assert with_it / without == pytest.approx(factor, rel=0.1)


def test_an_event_brings_more_talk_and_leaves_the_share_as_it_was(big: list[Brand]) -> None:
    ratios, moved = [], []
    for one in big:
        for event in one.stream.events:
            here = slice(event.start, event.end)
            bad, rest = one.stream.negatives[here].sum(), one.stream.others[here].sum()
            ratios.append(rest / one.truth.others[here].sum() / event.factor)
            moved.append(bad / (bad + rest) - one.share)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.15)
    assert np.mean(moved) == pytest.approx(0.0, abs=0.03)


def test_noise_has_the_spread_and_the_memory_that_it_says() -> None:
    noise = Noise(spread=0.3, memory=24.0)
    drawn = noise.draw(np.random.default_rng(1), 400_000)
    assert drawn.std() == pytest.approx(0.3, rel=0.03)
    assert np.corrcoef(drawn[:-24], drawn[24:])[0, 1] == pytest.approx(np.exp(-1), abs=0.03)
    means = drawn[: 400_000 // 36 * 36].reshape(-1, 36).mean(axis=1)
    assert noise.variance_of_mean(36) == pytest.approx(means.var(), rel=0.06)
    assert noise.variance_of_mean(1) == pytest.approx(0.09)


def test_posts_come_in_clusters_of_the_size_that_the_truth_tells(big: list[Brand]) -> None:
    cluster = max(big, key=lambda one: one.truth.cluster).truth.cluster
    assert 1.3 < cluster <= 1.6
    counts = posts(np.random.default_rng(2), np.full(200_000, 3.0), cluster)
    assert counts.mean() == pytest.approx(3.0, rel=0.02)
    assert counts.var() / counts.mean() == pytest.approx(cluster + (cluster - 1) / cluster, rel=0.03)


def test_a_classifier_loses_a_fifth_of_the_negatives_and_mislabels_a_tenth_of_the_others(big: list[Brand]) -> None:
    for one in big[:3]:
        stream = one.stream
        heard = classified(stream, np.random.default_rng(1))
        np.testing.assert_array_equal(heard.negatives + heard.others, stream.negatives + stream.others)
        wanted = 0.8 * stream.negatives.sum() + 0.1 * stream.others.sum()
        assert heard.negatives.sum() == pytest.approx(wanted, rel=0.01)
        assert heard.bursts == stream.bursts


def quiet(bursts: Sequence[Burst] = (), events: Sequence[Event] = ()) -> Stream:
    nothing: NDArray[np.int64] = np.zeros(6 * WEEK, dtype=np.int64)
    return Stream(10, nothing, nothing, tuple(bursts), tuple(events))


def told(*steps: int) -> NDArray[np.int64]:
    return np.array([SCORED + step for step in steps], dtype=np.int64)


BURST = Burst(SCORED + 100, SCORED + 124, 3, 40)


@pytest.mark.parametrize(
    ("step", "minutes", "false"),
    [
        (99, None, 1),  # just before
        (100, 5, 0),  # its first step is known five minutes later
        (123, 120, 0),
        (129, 150, 0),  # within half an hour after
        (130, None, 0),  # too late to count, and not false
        (159, None, 0),
        (160, None, 1),  # three hours after
    ],
)
def test_a_burst_is_found_inside_it_or_half_an_hour_later(step: int, minutes: int | None, false: int) -> None:
    judged = judge(told(step), quiet([BURST]))
    assert (judged.outcomes[0].minutes, judged.false) == (minutes, false)
    assert judged.weeks == 2


def test_the_first_alert_of_a_burst_tells_its_delay() -> None:
    judged = judge(told(110, 120), quiet([BURST]))
    assert [outcome.minutes for outcome in judged.outcomes] == [55]


def test_alerts_on_events_are_counted_apart_once_for_each_event() -> None:
    events = [Event(SCORED + 300, SCORED + 312, 3.0), Event(SCORED + 600, SCORED + 612, 2.0)]
    judged = judge(told(305, 340, 900), quiet(events=events))
    assert (judged.events, judged.events_alarmed, judged.false) == (2, 1, 1)


def test_nothing_is_counted_while_a_detector_learns() -> None:
    early = Burst(500, 512, 5, 90)
    judged = judge(np.array([505, 900, SCORED - 1]), quiet([early], [Event(1200, 1212, 2.0)]))
    assert (judged.outcomes, judged.false, judged.events) == ((), 0, 0)


def test_a_burst_that_begins_in_the_learning_weeks_excuses_alerts_after_them() -> None:
    across = Burst(SCORED - 20, SCORED + 4, 5, 90)
    assert judge(told(2, 60), quiet([across])).false == 1


def test_bursts_less_than_a_day_after_another_are_known() -> None:
    second = Burst(BURST.start + DAY - 1, BURST.start + DAY + 11, 2, 9)
    third = Burst(second.start + DAY, second.start + DAY + 12, 2, 9)
    judged = judge(told(), quiet([BURST, second, third]))
    assert [outcome.crowded for outcome in judged.outcomes] == [False, True, False]


def test_totals_add_up_over_series() -> None:
    one, other = judge(told(100, 900), quiet([BURST])), judge(told(105, 1500), quiet([BURST]))
    missed = judge(told(), quiet([BURST]))
    total = Total((one, other, missed))
    assert (total.false, total.weeks, total.false_a_week) == (2, 6, pytest.approx(1 / 3))
    assert (total.found, total.delay) == (Part(2, 3), 17.5)
    assert np.isnan(Total((missed,)).delay)
    assert str(Part(0, 0)) == "none"
    assert str(Part(9, 10)) == "90.0% ± 10.8% of 10"


def test_the_oracle_finds_strong_bursts_of_big_brands_and_is_rarely_wrong(big: list[Brand]) -> None:
    streams = [one.stream for one in big]
    total = spikes.at_threshold([oracle_scores(one) for one in big], streams, 5.0)
    strong = [outcome for outcome in total.outcomes if outcome.burst.factor == 5]
    assert sum(outcome.minutes is not None for outcome in strong) >= 0.9 * len(strong) > 5
    assert total.false_a_week <= 0.15
    assert total.events.value <= 0.1


def test_a_fitted_threshold_gives_no_more_false_alarms_than_asked_for_and_one_lower_does(drawn: list[Brand]) -> None:
    rival = RIVALS[0]
    level = spikes.fitted(rival.name, drawn, asked=0.5)
    streams = [one.stream for one in drawn]
    scores = [rival.scores(one.negatives, one.others) for one in streams]
    assert spikes.at_threshold(scores, streams, level).false_a_week <= 0.5
    assert spikes.at_threshold(scores, streams, level * spikes.FINER).false_a_week > 0.5


def test_the_products_alerts_are_told_at_the_step_after_which_they_go_out() -> None:
    rng = np.random.default_rng(3)
    negatives, others = rng.poisson(2.0, 3 * WEEK), rng.poisson(6.0, 3 * WEEK)
    negatives[5000:5036] += 20
    alerts = spikes.product(Stream(96, negatives, others, ()))
    assert [step for step in alerts if 4990 < step < 5050] == [5000]
    assert crossings(np.zeros(10), 1.0).size == 0


def volume_file(path: Path, values: Sequence[object], minutes: int = 5, column: str = "value") -> str:
    start = datetime(2026, 1, 5, 0, 2, 53)  # noqa: DTZ001  as NAB writes it
    rows = [f"{start + timedelta(minutes=minutes * at)},{value}\n" for at, value in enumerate(values)]
    path.write_text(f"timestamp,{column}\n" + "".join(rows), encoding="utf-8")
    return str(path)


def test_real_volumes_are_split_and_keep_what_they_were_outside_bursts(tmp_path: Path) -> None:
    counts = np.random.default_rng(1).poisson(20.0, 6 * WEEK)
    volume = read_volume(volume_file(tmp_path / "v.csv", counts.tolist()))
    streams = list(thinned(volume, (1, 0), each=2))
    assert len(streams) == 6
    for share, stream in zip(np.repeat((0.1, 0.25, 0.4), 2), streams, strict=True):
        more = stream.negatives + stream.others - volume
        assert more.sum() == sum(burst.excess for burst in stream.bursts)
        for burst in stream.bursts:
            more[burst.start : burst.end] = 0
        assert not more.any()
        assert stream.negatives.sum() / volume.sum() == pytest.approx(share, abs=0.06)
    assert sum(len(stream.bursts) for stream in streams) > 10
    assert next(thinned(volume, (1, 1), each=1)).bursts != streams[0].bursts


@pytest.mark.parametrize(
    ("values", "minutes", "column", "said"),
    [
        ([1, 2], 5, "value", "2 rows; five weeks"),
        ([1, 2], 10, "value", "does not come five minutes after"),
        ([1, "many"], 5, "value", "columns timestamp and value"),
        ([1, "nan"], 5, "value", "nan is no count"),
        ([1, -2], 5, "value", "-2 is no count"),
        ([1, 2], 5, "count", "columns timestamp and value"),
    ],
)
def test_a_volume_that_cannot_be_used_is_one_line(
    tmp_path: Path, values: list[object], minutes: int, column: str, said: str
) -> None:
    path = volume_file(tmp_path / "v.csv", values, minutes, column)
    with pytest.raises(InputError, match=said) as raised:
        read_volume(path)
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match=r"nowhere\.csv: No such file"):
        read_volume("nowhere.csv")


def test_everything_is_measured_and_held_against_what_was_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = np.random.default_rng(1).poisson(20.0, 5 * WEEK)
    path = volume_file(tmp_path / "v.csv", counts.tolist())

    spikes.main(["--rates", "100", "--brands", "1", "--thinnings", "1", "--seed", "3", path])

    shown = capsys.readouterr().out
    assert "simulated brands, seed 3: 3 brands, 24 brand-weeks" in shown
    assert "real volumes, thinned: 1 files, 3 brand-weeks" in shown
    for name in ("oracle", *(rival.name for rival in RIVALS)):
        rows = [line for line in shown.splitlines() if line.startswith(f" {name} ")]
        assert sum(" own " in line for line in rows) == sum(" fitted " in line for line in rows) >= 1
    assert shown.count("at most") + shown.count("at least") == 12
