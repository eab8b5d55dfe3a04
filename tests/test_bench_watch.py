"""The benchmark of ticks finds what it put in, in a real store."""

import pytest

from benchmarks import watch_job
from benchmarks.watch import main, measure


def test_each_part_of_a_tick_is_measured() -> None:
    taken = measure(12)
    assert taken.brands == 12
    assert min(taken.reading, taken.tick, taken.half_day, taken.midnight, taken.anew) > 0


def test_no_brands_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--brands", "0"])
    assert "--brands is 1 or more" in capsys.readouterr().err


def test_the_job_is_timed_while_it_finds_what_was_put_in() -> None:
    tick = watch_job.measure(3)
    assert tick.brands == 3
    assert tick.opened >= 1
    assert tick.seconds > 0
