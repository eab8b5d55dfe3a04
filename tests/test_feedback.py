"""What a team says of its alerts becomes a precision, and a sensitivity that is offered."""

import pytest

from models.feedback import precision, suggest


def test_precision_counts_what_was_useful_among_what_was_judged() -> None:
    found = precision("negative spike", ["useful", "useful", "useful", "noise", "known", None, None])
    assert (found.useful, found.noise, found.known, found.alerts) == (3, 1, 1, 7)
    assert found.value == 0.75
    assert found.low == pytest.approx(0.301, abs=0.001)  # Wilson, by hand
    assert found.high == pytest.approx(0.954, abs=0.001)


@pytest.mark.parametrize("words", [[], [None], ["known", None]])
def test_what_nobody_found_useful_or_noise_has_no_precision(words: list[str | None]) -> None:
    found = precision("silence", words)
    assert (found.value, found.low, found.high) == (None, None, None)


NOISE = [(4.1, "noise"), (4.3, "noise"), (4.4, "noise")]
USEFUL = [(5.2, "useful"), (6.0, "useful"), (9.0, "useful"), (12.0, "useful")]


@pytest.mark.parametrize(
    ("judged", "threshold", "offered"),
    [
        pytest.param(NOISE + USEFUL, 4.0, 4.5, id="the lowest that keeps out the noise"),
        pytest.param(NOISE + USEFUL, 4.5, None, id="none where the noise is kept out already"),
        pytest.param([*NOISE, (5.3, "noise"), *USEFUL], 4.0, 4.5, id="no more noise than that is worth a useful alert"),
        pytest.param([(4.2, "noise"), (9.0, "useful")], 4.0, None, id="two words are too few"),
        pytest.param(
            [*NOISE, (4.1, "useful"), (4.2, "useful"), (4.3, "useful")], 4.0, None, id="none is better for a mixture"
        ),
        pytest.param([(5.0, "useful")] * 6, 4.0, 3.5, id="one step lower where all were useful"),
        pytest.param([(5.0, "useful")] * 6, 3.0, None, id="none below the lowest"),
        pytest.param([*USEFUL, (4.1, "known"), (4.2, "known")], 4.0, None, id="what was known speaks for nothing"),
        pytest.param([(4.1, "noise")] * 5, 4.0, 4.5, id="nothing but noise"),
    ],
)
def test_the_threshold_that_is_offered(
    judged: list[tuple[float, str]], threshold: float, offered: float | None
) -> None:
    assert suggest(judged, threshold) == offered
