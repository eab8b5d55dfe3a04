"""Whatever happens to posts, in whatever order, the counts are those of the rows."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from db.filters import Filter
from db.records import NO_BRAND, Mention, Verdict
from db.store import Store
from jobs.group import group
from jobs.rematch import rematch
from jobs.score import rescore
from models.brand import Brand, hiding, naming
from models.classifier import Post
from models.query import parse
from tests.support import (
    DAY,
    NOW,
    Keywords,
    brand,
    judge,
    kept_counts,
    kept_voices,
    mention,
    recounted,
    recounted_voices,
    rows,
)

NUMBERS = st.integers(0, 5)
TEXTS = st.sampled_from(
    ("acme is awful", "love acme", "acme and bolt", "bolt was charged twice", "acme spam", "12", "nothing of note")
)
BRANDS = (
    (brand(), brand("Bolt")),
    (brand(hide=parse("spam")), brand("Bolt")),
    (brand(query="acme OR note"), brand("Bolt", hide=parse("charged"))),
)
MIDNIGHT = NOW.replace(hour=0)
ASKED = (  # all there is; the newest days; a week that is long over, of one brand
    Filter(MIDNIGHT - 20 * DAY, NOW + timedelta(hours=1)),
    Filter(MIDNIGHT - DAY, NOW + timedelta(hours=1), sources=("x",)),
    Filter(MIDNIGHT - 12 * DAY, MIDNIGHT - 5 * DAY, brands=("Acme",)),
)


class Posts(RuleBasedStateMachine):
    """A few posts that are added, edited, judged, hidden, erased and matched anew."""

    @initialize()
    def open(self) -> None:
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "sentimon.db"
        self.store = Store(self.path)
        self.brands: tuple[Brand, ...] = BRANDS[0]
        self.now = NOW

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    def _post(self, number: int, text: str) -> Mention:
        # Two share five minutes, two an hour, two a day; two sources; two people.
        at = NOW - (timedelta(0), timedelta(minutes=1), timedelta(minutes=30), timedelta(hours=3), DAY, 9 * DAY)[number]
        source, author = ("x", "reddit")[number % 2], ("ann", "bob")[number // 3]
        return mention(number, text, at, source, author=author, collected_at=self.now)

    @rule(number=NUMBERS, text=TEXTS, imported=st.booleans())
    def reads_a_post(self, number: int, text: str, imported: bool) -> None:
        post = self._post(number, text)
        brands = naming(self.brands)(post) or ([NO_BRAND] if imported else [])
        with self.store.transaction():
            self.store.mentions.add([(post, brands)] if brands else [], hiding(self.brands))

    @rule(hours=st.integers(1, 30))
    def time_goes_by(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def scores(self) -> None:
        judge(self.store)

    @rule(number=NUMBERS, text=TEXTS)
    def is_edited_while_it_is_scored(self, number: int, text: str) -> None:
        waiting = self.store.mentions.pending(9)
        scores = Keywords().score([Post(match.mention.text, None) for match in waiting])
        self.reads_a_post(number, text, imported=True)
        with self.store.transaction():
            self.store.scores.save(list(zip(waiting, scores, strict=True)), self.now)

    @rule(name=st.sampled_from(("keywords-2", "keywords-3")))
    def another_model_judges(self, name: str) -> None:
        model: Any = Keywords(name, negative=("love",), positive=("awful",))
        rescore(self.store, model, self.store.mentions.judged_by_others(name, Filter()), lambda: self.now)

    @rule(pick=st.integers(0, 9), about=st.booleans(), sentiment=st.sampled_from((None, "negative", "positive")))
    def a_person_judges(self, pick: int, about: bool, sentiment: str | None) -> None:
        ids = [row[0] for row in rows(self.path, "SELECT id FROM matches ORDER BY id")]
        labels = {"sentiment": sentiment} if sentiment else {"stage": "use"}
        if ids:
            with self.store.transaction():
                verdict = Verdict(ids[pick % len(ids)], "eve", self.now, labels if about else {}, about=about)
                self.store.verdicts.give([verdict])

    @rule(number=NUMBERS, reason=st.sampled_from(("deleted", "aged")))
    def loses_its_text(self, number: int, reason: str) -> None:
        with self.store.transaction():
            self.store.forgotten.erase_named(("x", "reddit")[number % 2], [str(number)], self.now, reason)

    @precondition(lambda self: self.now > NOW + 3 * DAY)
    @rule()
    def somebody_is_forgotten(self) -> None:
        with self.store.transaction():
            self.store.forgotten.forget("x", "ann", self.now)

    @rule(chosen=st.sampled_from(BRANDS))
    def queries_change(self, chosen: tuple[Brand, ...]) -> None:
        self.brands = chosen
        rematch(self.store, self.brands)
        again = rematch(self.store, self.brands).changed
        assert (again.gained, again.hidden, again.shown) == (0, 0, 0)

    @rule()
    def copies_are_looked_for(self) -> None:
        group(self.store)

    @invariant()
    def the_counts_are_those_of_the_rows(self) -> None:
        if hasattr(self, "store"):
            assert kept_counts(self.path) == recounted(self.path)

    @invariant()
    def what_is_remembered_is_what_is_there(self) -> None:
        if hasattr(self, "store"):
            with Store(self.path) as fresh:
                for chosen in ASKED:
                    assert self.store.trends.counts(chosen, ("stage",)) == fresh.trends.counts(chosen, ("stage",))
                    assert self.store.trends.counts(chosen, (), "day") == fresh.trends.counts(chosen, (), "day")
                    assert self.store.facets.counts(chosen) == fresh.facets.counts(chosen)
                    remembered = self.store.trends.newest_texts(chosen, 9, 99)
                    assert remembered == fresh.trends.newest_texts(chosen, 9, 99)

    @invariant()
    def the_totals_are_those_of_the_rows(self) -> None:
        if hasattr(self, "store"):
            kept = rows(self.path, "SELECT brand, source, posts FROM totals WHERE posts != 0")
            counted = rows(self.path, "SELECT '', source, count(*) FROM mentions GROUP BY source")
            counted += rows(self.path, "SELECT brand, source, count(*) FROM matches GROUP BY brand, source")
            assert sorted(kept) == sorted(counted)

    @invariant()
    def the_voices_are_those_of_the_rows(self) -> None:
        if hasattr(self, "store"):
            assert kept_voices(self.path) == recounted_voices(self.path)

    @invariant()
    def somebody_is_heard_of_whatever_is_counted(self) -> None:
        """Of rated posts that are no copies, those with nothing like them before them are no echoes."""
        if hasattr(self, "store"):
            sql = """SELECT k.id FROM matches k JOIN mentions m ON m.id = k.mention_id
                WHERE k.echo AND k.state = 'rated' AND k.about AND m.copy_of IS NULL AND m.gone_at IS NULL
                    AND NOT EXISTS (SELECT 1 FROM matches e WHERE e.brand = k.brand AND e.source = k.source
                        AND e.id != k.id AND e.created_at <= k.created_at)"""
            assert rows(self.path, sql) == []

    @invariant()
    def a_post_that_waits_for_its_score_gets_one(self) -> None:
        """What is not pending has a label, or cannot be judged: nothing is left between."""
        if hasattr(self, "store"):
            sql = "SELECT id FROM matches WHERE (state = 'rated') != (sentiment IS NOT NULL) AND state != 'pending'"
            assert rows(self.path, sql) == []

    @invariant()
    def what_is_gone_says_nothing(self) -> None:
        if hasattr(self, "store"):
            sql = "SELECT id FROM mentions WHERE gone_at IS NOT NULL AND (text != '' OR author IS NOT NULL)"
            assert rows(self.path, sql) == []
            held = "IN (SELECT id FROM mentions WHERE gone_at IS NOT NULL)"
            assert rows(self.path, f"SELECT 1 FROM versions WHERE mention_id {held}") == []
            assert rows(self.path, f"SELECT 1 FROM shingles WHERE mention_id {held}") == []


TestCounts = Posts.TestCase
TestCounts.settings = settings(max_examples=20, stateful_step_count=20, deadline=None, derandomize=True)
