"""The past of a YouTube channel, and what became of the comments that were read."""

from collections.abc import Iterator

import pytest

from db.errors import InputError, SourceUnavailable
from jobs.collector import Checker, Historian
from tests.fake_youtube import VIDEO, FakeYouTube
from tests.support import HOUR
from tests.youtube_rig import NOW, PLACE, Ration, ago, collector, ids


@pytest.fixture
def youtube() -> Iterator[FakeYouTube]:
    with FakeYouTube() as fake:
        yield fake


def test_the_past_is_read_back_to_its_beginning_and_no_further(youtube: FakeYouTube) -> None:
    for n in range(600):
        youtube.comment(f"acme {n}", at=ago(n))
    old = youtube.items[next(iter(youtube.items))]
    for n in range(9):
        youtube.reply(old.id, f"new reply {n}", at=NOW)
    source, meter = collector(youtube), Ration()
    assert isinstance(source, Historian)
    assert source.oldest(PLACE, NOW) is None
    batches = list(source.history(PLACE, ago(450), ago(150), None, meter, NOW))
    times = [each.created_at for batch in batches for each in batch.mentions]
    assert len(times) == 300
    assert (min(times), max(times)) == (ago(450), ago(151))
    assert [batch.cursor is not None for batch in batches] == [False] * (len(batches) - 1) + [True]
    assert len(meter.used) == 5  # pages; the replies to what is newer are spared


def test_the_past_goes_on_where_it_was_cut_off(youtube: FakeYouTube) -> None:
    for n in range(600):
        youtube.comment(f"acme {n}", at=ago(n))
    source, meter = collector(youtube), Ration()
    first = next(source.history(PLACE, ago(450), NOW, None, meter, NOW))
    second = next(source.history(PLACE, ago(450), NOW, first.resume, meter, NOW))
    assert not set(ids([first])) & set(ids([second]))
    rest = list(source.history(PLACE, ago(450), NOW, second.resume, meter, NOW + HOUR))
    assert len(set(ids([first, second, *rest]))) == 450
    assert len(meter.used) == 5


def test_what_a_search_would_have_found_has_no_past(youtube: FakeYouTube) -> None:
    source = collector(youtube, search=True)
    assert source.oldest("search:Acme", NOW) == NOW
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        next(source.history("search:Acme", ago(9), NOW, None, Ration(), NOW))
    with pytest.raises(InputError, match="no stream"):
        next(source.history("video:nowhere", ago(9), NOW, None, Ration(), NOW))


@pytest.mark.parametrize("strict", [False, True])
def test_a_check_tells_what_was_deleted_and_what_comments_say_now(youtube: FakeYouTube, strict: bool) -> None:
    source, meter = collector(youtube), Ration()
    youtube.strict_ids = strict
    assert isinstance(source, Checker)
    top = youtube.comment("acme is great", at=ago(2))
    there = [top, *(youtube.reply(top, f"reply {n}", at=ago(1)) for n in range(source.check_size - 2))]
    gone = youtube.comment("acme is bad", at=ago(2))
    youtube.delete(gone)
    youtube.edit(top, "acme is awful", NOW)
    told = source.check([*there[:20], gone, *there[20:]], None, meter, NOW)
    assert told.gone == [gone]
    assert {each.source_id for each in told.seen} == set(there)
    assert next(each.text for each in told.seen if each.source_id == top) == "acme is awful"
    assert all(len(request.params["id"]) <= 2000 for request in youtube.asked("comments"))
    assert strict or meter.used == [1, 1]  # so many long ids take two requests


def test_fifty_comments_are_checked_for_one_unit(youtube: FakeYouTube) -> None:
    all_ids = [youtube.comment(f"{n}", at=ago(1)) for n in range(50)]
    meter = Ration()
    told = collector(youtube).check(all_ids, None, meter, NOW)
    assert (told.gone, len(told.seen), meter.used) == ([], 50, [1])


def test_an_imported_post_whose_id_is_no_comments_is_neither_asked_for_nor_gone(youtube: FakeYouTube) -> None:
    top = youtube.comment("acme", at=ago(1))
    there = [top, youtube.reply(top, "acme too", at=ago(1))]
    others = {
        youtube.comment("acme", at=ago(1), id="UgzxsAHHvWZkGR3gJVp4AaABAg.9aolZGyDz3w9apYGzzghC4"),
        youtube.comment("acme", at=ago(1), id="z133fhirxta0dzof522xtpxq4mrbtrqjd04.1489437974282317"),
    }
    imported = [VIDEO, "row-17", "17", "Ug", "4f2b6c1e-0d0a-4c7e-9b1f-6a5f3c2d1e00", f"{top}\n", f"{top},{top}"]
    told = collector(youtube).check([*imported, *there, *others], None, Ration(), NOW)
    assert (told.gone, {each.source_id for each in told.seen}) == ([], {*there, *others})
    before = len(youtube.requests)
    told = collector(youtube).check(imported, None, Ration(), NOW)
    assert (told.gone, told.seen) == ([], [])
    assert len(youtube.requests) == before


def test_a_comment_that_cannot_be_read_is_not_taken_for_deleted(youtube: FakeYouTube) -> None:
    odd = youtube.comment("acme", at=ago(1), more={"publishedAt": 5.5e300})
    good = youtube.comment("acme", at=ago(1))
    told = collector(youtube).check([odd, good], None, Ration(), NOW)
    assert (told.gone, [each.source_id for each in told.seen]) == ([], [good])


@pytest.mark.parametrize("fault", ["503", "html", "json", "empty"])
def test_a_check_without_an_answer_takes_nothing_for_deleted(youtube: FakeYouTube, fault: str) -> None:
    id = youtube.comment("acme", at=ago(1))
    youtube.faults.append(fault)
    with pytest.raises(SourceUnavailable):
        collector(youtube).check([id], None, Ration(), NOW)
