"""Volume spikes are found soon, and nothing else is; NAB's score is counted as NAB counts it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.nab import gaussian, main, ours, read, scored
from db.errors import InputError
from models import volume
from models.counts import STEP, Counts, Series
from models.episodes import Episode, episodes
from models.state import Past, pack, unpack
from models.volume import THRESHOLD, find_volume_spikes, findings, fold, fresh, look, replay

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = 288
Ints = NDArray[np.int64]


def talk(seed: int, per_hour: float, days: int) -> Ints:
    """Poisson counts with a daily cycle."""
    mean = per_hour / 12 * (1 + 0.8 * np.sin(2 * np.pi * np.arange(days * DAY) / DAY))
    return np.random.default_rng(seed).poisson(mean)


def event(seed: int, per_hour: float, days: int, step: int, factor: int = 4, steps: int = 18) -> Ints:
    """The same, with that many times the mentions for a while."""
    mentions = talk(seed, per_hour, days)
    mentions[step : step + steps] += talk(seed + 50, per_hour * (factor - 1), days)[step : step + steps]
    return mentions


def found(mentions: Ints, seen: NDArray[np.float64] | None = None) -> list[Episode]:
    return find_volume_spikes(Series(START, np.zeros_like(mentions), mentions, seen), START)


def counts(*mentions: Ints) -> Counts:
    posts = np.stack(mentions).astype(np.float64)
    return Counts(START, np.zeros_like(posts), posts, np.ones_like(posts))


def test_calm_brands_raise_at_most_one_alarm_in_ten_weeks() -> None:
    brands = [talk(seed, per_hour, 42) for seed in range(6) for per_hour in (1, 10, 100, 1000)]
    looked, _ = replay(fresh(len(brands), START.date()), counts(*brands))
    end = START + STEP * 42 * DAY
    alarms = [episode for row in range(len(brands)) for episode in episodes(findings(looked, row), end, THRESHOLD)]
    assert len(alarms) <= 0.1 * 6 * len(brands)


@pytest.mark.parametrize("per_hour", [100, 1000])
def test_four_times_the_mentions_are_found_within_a_quarter_of_an_hour(per_hour: float) -> None:
    for seed in range(4):
        step = 20 * DAY + 72 - 9 + seed
        (episode,) = found(event(seed, per_hour, 22, step))
        told = episode.notify[0]
        assert timedelta(0) < told.at - (START + STEP * step) <= timedelta(minutes=15)
        assert told.window == timedelta(minutes=15)
        assert told.factor == pytest.approx(told.observed / told.expected)
        assert told.low < told.expected < told.high < told.observed
        assert told.probability <= 1e-4


def test_who_is_negative_makes_no_difference() -> None:
    mentions = event(1, 100, 22, 20 * DAY + 60)
    as_negatives = find_volume_spikes(Series(START, mentions, np.zeros_like(mentions)), START)
    assert [episode.notify[0].at for episode in as_negatives] == [e.notify[0].at for e in found(mentions)]
    assert as_negatives


def test_one_busy_step_must_be_larger_than_three_of_them() -> None:
    mentions = talk(1, 100, 22)
    mentions[20 * DAY + 60] += 25
    assert found(mentions) == []
    mentions[20 * DAY + 61 : 20 * DAY + 63] += 25
    assert len(found(mentions)) == 1


def test_a_brand_with_a_burst_every_day_needs_a_larger_one() -> None:
    steady, bursty = talk(1, 100, 29), talk(1, 100, 29)
    rng = np.random.default_rng(3)
    for day in range(28):
        at = day * DAY + int(rng.integers(0, DAY - 3))
        bursty[at : at + 3] += 60
    step = 28 * DAY + 70
    for mentions in (steady, bursty):
        mentions[step : step + 3] += 60
    since = START + STEP * 28 * DAY
    assert [e for e in found(steady) if e.starts >= since]
    assert not [e for e in found(bursty) if e.starts >= since]
    bursty[step : step + 3] += 600
    assert [e for e in found(bursty) if e.starts >= since]


def test_few_mentions_are_never_a_spike() -> None:
    mentions = talk(1, 0.5, 22)
    mentions[20 * DAY :] = 0
    mentions[20 * DAY + 60 : 20 * DAY + 63] = 3
    assert found(mentions) == []
    mentions[20 * DAY + 60 : 20 * DAY + 63] = 8
    assert len(found(mentions)) == 1


def test_a_spike_that_doubles_is_told_again_and_one_that_lasts_is_not() -> None:
    mentions = talk(1, 100, 22)
    step = 20 * DAY + 60
    mentions[step : step + 24] += 60
    (lasting,) = found(mentions)
    assert 1 <= len(lasting.notify) <= 3  # while the 15 minutes fill
    mentions[step + 12 : step + 24] += 400
    (growing,) = found(mentions)
    assert growing.notify[: len(lasting.notify)] == lasting.notify
    assert len(growing.notify) > len(lasting.notify)
    assert all(
        later.observed >= 2 * first.observed for first, later in zip(growing.notify, growing.notify[1:], strict=False)
    )


def test_no_alert_without_48_hours_that_were_read() -> None:
    mentions = event(1, 100, 3, DAY + 200)
    assert found(mentions) == []
    late = np.concatenate((np.zeros(20 * DAY, dtype=np.int64), mentions))  # nobody watched before the first mention
    assert found(late) == []
    looked, _ = replay(fresh(1, START.date()), counts(mentions))
    assert looked.learning[0, : 2 * DAY].all()
    assert not looked.learning[0, 2 * DAY :].any()
    known = event(1, 100, 5, 3 * DAY + 60)
    assert len(found(known)) == 1
    seen = np.ones(len(known))
    seen[: 2 * DAY] = 0.0
    assert found(known, seen) == []


def test_what_was_not_read_is_missing_and_not_quiet() -> None:
    mentions, seen = talk(1, 100, 26), np.ones(26 * DAY)
    for day in range(20):  # the same three hours of every day
        gap = slice(day * DAY + 60, day * DAY + 96)
        mentions[gap], seen[gap] = 0, 0.0
    assert found(mentions, seen) == []
    assert found(mentions)  # as if they had been quiet
    half = talk(1, 100, 26)
    half[: 20 * DAY] //= 2
    seen = np.ones(26 * DAY)
    seen[: 20 * DAY] = 0.5
    looked, _ = replay(fresh(1, START.date()), replace(counts(half), seen=seen[None]))
    usual, _ = replay(fresh(1, START.date()), counts(talk(1, 100, 26)))
    assert looked.expected[0, 20 * DAY + 100] == pytest.approx(usual.expected[0, 20 * DAY + 100], rel=0.1)


def test_a_spike_in_steps_that_were_not_read_says_nothing() -> None:
    mentions, seen = event(1, 100, 22, 20 * DAY + 60), np.ones(22 * DAY)
    seen[20 * DAY + 55 : 20 * DAY + 90] = 0.0
    assert found(mentions, seen) == []


def test_what_comes_later_changes_no_score() -> None:
    mentions = event(1, 100, 10, 5 * DAY + 60)
    whole, _ = replay(fresh(1, START.date()), counts(mentions))
    for step in (3 * DAY + 7, 5 * DAY + 63, 6 * DAY, 8 * DAY + 287):
        changed = mentions.copy()
        changed[step:] = changed[step:] * 9 + 50
        other, _ = replay(fresh(1, START.date()), counts(changed))
        short, _ = replay(fresh(1, START.date()), counts(mentions[:step]))
        assert (other.score[:, :step] == whole.score[:, :step]).all()
        assert (short.score == whole.score[:, :step]).all()


def test_a_restart_from_what_was_stored_gives_the_same_scores() -> None:
    series = counts(event(1, 100, 8, 6 * DAY + 60), talk(2, 3, 8))
    whole, _ = replay(fresh(2, START.date()), series)
    past = fresh(2, START.date())
    for day in range(8):
        today = series.part(day * DAY, (day + 1) * DAY)
        looked = look(past, today)
        assert (looked.score == whole.score[:, day * DAY : (day + 1) * DAY]).all()
        later = look(past, today, first=200)
        assert later.start == looked.start + 200 * STEP
        assert (later.score == looked.score[:, 200:]).all()
        past = unpack(volume.LAYOUT, [pack(fold(past, today), row) for row in range(2)])
    assert whole.score.max() > THRESHOLD


def test_series_do_not_touch_each_other() -> None:
    alone, _ = replay(fresh(1, START.date()), counts(event(1, 100, 8, 6 * DAY + 60)))
    beside, _ = replay(fresh(3, START.date()), counts(talk(5, 900, 8), event(1, 100, 8, 6 * DAY + 60), talk(6, 1, 8)))
    assert beside.score[1] == pytest.approx(alone.score[0], abs=1e-9)


def test_the_past_of_another_day_and_half_a_day_are_refused() -> None:
    day = counts(talk(1, 10, 1))
    with pytest.raises(ValueError, match="no past of counts"):
        look(fresh(1, START.date() + timedelta(days=1)), day)
    with pytest.raises(ValueError, match="288 steps"):
        fold(Past(volume.LAYOUT, START.date(), fresh(1, START.date()).values), day.part(0, 100))


@pytest.mark.parametrize("length", [0, 1, 3, 3 * DAY])
@pytest.mark.parametrize("value", [0, 1])
def test_series_without_a_story_give_nothing(length: int, value: int) -> None:
    assert found(np.full(length, value, dtype=np.int64)) == []


WINDOWS = [(1000, 1199), (3000, 3199)]  # of 10,000 rows, of which the first 750 do not count


def test_nothing_detected_scores_0_and_the_first_row_of_every_window_100() -> None:
    assert scored(10_000, WINDOWS, []).score == 0
    perfect = scored(10_000, WINDOWS, [1000, 3000])
    assert (perfect.score, perfect.found, perfect.windows, perfect.false) == (100, 2, 2, 0)


def test_a_window_pays_once_by_its_first_detection() -> None:
    middle = scored(10_000, WINDOWS, [1100, 3100])
    assert middle.score == pytest.approx(100 * (0.8483 / 0.9866 + 1) / 2, abs=0.1)  # NAB's figures for both places
    assert scored(10_000, WINDOWS, [1100, 1101, 1198, 3100, 3150]) == middle
    assert 50 < scored(10_000, WINDOWS, [1199, 3199]).score < 52
    assert scored(10_000, WINDOWS, [1000]).score == 50


def test_a_false_detection_costs_a_ninth_and_less_just_after_a_window() -> None:
    early, late, after = (scored(10_000, WINDOWS, [row]).raw + 2 for row in (900, 9000, 1210))
    assert early == late == pytest.approx(-0.11)
    assert -0.11 < after < 0
    assert scored(10_000, WINDOWS, [900, 901, 902]).raw + 2 == pytest.approx(-0.33)
    assert scored(10_000, WINDOWS, [900, 9000]).false == 2


def test_the_first_rows_do_not_count_neither_for_nor_against() -> None:
    assert scored(10_000, WINDOWS, [0, 300, 749]).score == 0
    assert scored(10_000, WINDOWS, [749, 750]).false == 1
    assert scored(1_000, [(140, 239)], [149]).found == 0
    assert scored(1_000, [(140, 239)], [150]).found == 1


def labelled(folder: Path) -> Path:
    """A file of four weeks with one event, labelled as NAB does."""
    mentions = event(3, 100, 28, 20 * DAY + 60)
    times = [datetime(2015, 2, 26, 21, 42, 53, tzinfo=UTC) + STEP * step for step in range(len(mentions))]
    rows = [f"{time:%Y-%m-%d %H:%M:%S},{value}" for time, value in zip(times, mentions, strict=True)]
    path = folder / "Twitter_volume_ACME.csv"
    path.write_text("\n".join(["timestamp,value", *rows]), encoding="utf-8")
    window = [f"{times[20 * DAY + end]:%Y-%m-%d %H:%M:%S}.000000" for end in (0, 200)]
    (folder / "windows.json").write_text(json.dumps({f"realTweets/{path.name}": [window]}), encoding="utf-8")
    return path


def test_the_benchmark_prints_each_file_and_all_for_each_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labelled(tmp_path)
    series = read(path)
    assert series.windows == [(20 * DAY, 20 * DAY + 200)]
    (row, *again) = ours(series)
    assert 20 * DAY + 60 <= row <= 20 * DAY + 63
    assert all(20 * DAY + 60 < each < 20 * DAY + 80 for each in again)
    main([str(path)])
    printed = capsys.readouterr().out
    assert printed.count("Twitter_volume_ACME") == printed.count("\nall ") == 4
    assert "1 of 1" in printed


def test_the_windowed_gaussian_moves_by_the_hundred_rows(tmp_path: Path) -> None:
    series = read(labelled(tmp_path))
    score = gaussian(series)
    before = series.counts[100:6500]
    assert score[6500] == pytest.approx(abs(series.counts[6500] - before.mean()) / before.std())
    assert score[6599] == pytest.approx(abs(series.counts[6599] - before.mean()) / before.std())
    assert score[10] == pytest.approx(abs(series.counts[10] - series.counts[:10].mean()) / series.counts[:10].std())


def test_without_data_the_benchmark_says_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    main([])
    assert "windows.json" in capsys.readouterr().out
    with pytest.raises(InputError, match="No such file"):
        main([str(tmp_path / "none.csv")])
    path = labelled(tmp_path)
    path.write_text("timestamp\n2015-02-26", encoding="utf-8")
    with pytest.raises(InputError, match="timestamp and value"):
        main([str(path)])
