"""What was found is held against thresholds, and against what else was told at the time."""

import numpy as np

from jobs.replay import Replayed
from models.episodes import Finding
from tests.support import DAY, HOUR, MINUTE, NOW

START = NOW - 14 * DAY


def test_what_is_part_of_a_spike_that_was_told_before_it_is_left_out() -> None:
    def scored(*minutes: int) -> list[Finding]:
        return [Finding(NOW + at * MINUTE, HOUR, 20, 2.0, 10.0, 30, 0.7, 0.2, 9.0) for at in minutes]

    findings = {
        "negative spike": {
            "": scored(10, 15, 20),
            "source early": scored(5, 10),  # was told when nobody knew of more
            "source late": scored(10),
            "source after": scored(15 * 60),
        },
        "volume spike": {"": scored(25)},
    }
    counts = np.zeros(1)
    made = Replayed(START, NOW + DAY, START, findings, START, counts, counts)
    thresholds = {"negative spike": 4.0, "volume spike": 5.5}
    told = made.told("negative spike", thresholds)
    assert [(each.scope, each.at) for each in told] == [
        ("source early", NOW + 5 * MINUTE),
        ("", NOW + 10 * MINUTE),
        ("source after", NOW + 15 * HOUR),
    ]
    assert made.told("volume spike", thresholds) == []
    assert len(made.told("volume spike", {**thresholds, "negative spike": 300.0})) == 1


def test_who_looks_at_many_slices_needs_a_higher_score_of_each() -> None:
    def scored(score: float) -> list[Finding]:
        return [Finding(NOW, HOUR, 20, 2.0, 10.0, 30, 0.7, 0.2, score)]

    findings = {"": [], "source reddit": scored(4.4), "source x": scored(4.6), "stage use": []}
    counts = np.zeros(1)
    made = Replayed(START, NOW, START, {"negative spike": findings}, START, counts, counts)
    told = made.told("negative spike", {"negative spike": 4.0})  # 4 + log10(3) = 4.48
    assert [each.scope for each in told] == ["source x"]
