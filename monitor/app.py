"""The composition root: from the configuration to live objects and jobs."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from db.errors import ConfigError, InputError
from db.records import Hour, Registered
from db.store import Store
from jobs.backfill import backfill
from jobs.collect import Source, collect
from jobs.collector import Checker, Historian
from jobs.desk.triage import Triaging, triage
from jobs.embed import embed
from jobs.group import group
from jobs.moods import Moods
from jobs.notify import Telling, notify
from jobs.outcome import Outcome
from jobs.outlet import Outlet
from jobs.period import About
from jobs.prune import prune
from jobs.recheck import recheck
from jobs.replier import Outbox
from jobs.reply import reply
from jobs.rules import Sensitivity, Watching
from jobs.schedule import Job, due
from jobs.score import score
from jobs.source import platform_of
from jobs.stale import stale
from jobs.survey import survey
from jobs.trends.figures import Row
from jobs.watch import watch
from models.classifier import Model
from monitor.charts import digest_chart
from monitor.config import Config, SourceConfig
from monitor.links import links
from monitor.mail.page import page
from monitor.outbox import make_outbox
from monitor.outlets import fingerprint, make_outlets
from monitor.sections import span_of
from monitor.views import picture_of

if TYPE_CHECKING:
    from monitor.canvas import Picture

EVERY = timedelta(minutes=1)  # scoring, watching and notifying: with nothing new they cost next to nothing
EVERY_PAST = timedelta(seconds=50)  # never for long at the same moment as the live runs
EVERY_REPLY = timedelta(seconds=10)  # who has pressed "send" waits for it
EVERY_DESK = timedelta(seconds=15)  # what people wait for in front of a page
EVERY_SURVEY = timedelta(hours=1)
EVERY_CHECK = timedelta(minutes=10)  # each time some of the posts that are due that day
DAY = timedelta(days=1)


def utc_now() -> datetime:
    """The clock of the outside world; everything below is told the time."""
    return datetime.now(UTC)


class App:
    """Everything that the commands share, made when it is first needed."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._loaded: tuple[Registered | None, Model] | None = None
        self._loading = Lock()

    def store(self) -> Store:
        """Open the store, for the calling thread."""
        return Store(self.config.database)

    @property
    def classifier(self) -> Model:
        """Load the model in force, and another once that one is."""
        with self._loading:  # scoring and embedding share it
            found = self.registered()
            if self._loaded is None or self._loaded[0] != found:
                self._loaded = (found, self._load(found))
            return self._loaded[1]

    def registered(self) -> Registered | None:
        """Return the model that was trained here and is in force; None where that of the configuration is."""
        if self.config.model.name != "bundled" or not self.config.database.exists():
            return None
        with self.store() as store:
            return store.models.in_force()

    def folder_of(self, model: Registered) -> Path:
        """Say where a model that was trained here lies; InputError where it is gone."""
        folder = self.config.database.parent / model.folder
        if not (folder / "config.json").is_file():
            raise InputError(
                f"model {model.name}: its folder {folder} is gone; bring it back, or go back to the bundled one with "
                "`sentimon models use bundled`"
            )
        return folder

    @cached_property
    def outlets(self) -> Mapping[str, Outlet]:
        """Make the channels."""
        return make_outlets(self.config)

    @cached_property
    def outbox(self) -> Outbox:
        """Make what answers posts."""
        return make_outbox(self.config)

    @cached_property
    def watching(self) -> Watching:
        """Say what is watched for."""
        alerts = self.config.alerts
        return Watching(
            names=alerts.rules,
            competitors=self.competitors,
            sensitivity=Sensitivity(alerts.threshold, alerts.minimum),
            of_brand=self.config.sensitivities,
            stale_after=span_of(alerts.stale_after),
            every={config.name: config.every for config in self.config.sources if not config.collector_kind.pushed},
            urgent=alerts.urgent,
            platforms={source.name: platform_of(source) for _, source in self.sources},
        )

    @cached_property
    def triaging(self) -> Triaging:
        """Say what becomes a case, and how soon it is to be answered."""
        desk = self.config.desk
        own = [brand.name for brand in self.config.brands if brand.own]
        return Triaging(own, desk.business, desk.within)

    @cached_property
    def competitors(self) -> Sequence[str]:
        """Name the brands that are watched but not answered for."""
        return [brand.name for brand in self.config.brands if not brand.own]

    @cached_property
    def sources(self) -> Sequence[tuple[SourceConfig, Source]]:
        """Make the collectors, the cheapest first; no platform is contacted."""
        return self._make_sources()

    def make_sources(self) -> Sequence[Source]:
        """Make the collectors anew: a job that runs beside the live runs does not share theirs."""
        return [source for _, source in self._make_sources()]

    def jobs(self, stopping: Callable[[], bool] = lambda: False) -> list[Job]:
        """List every job in the order of the pipeline; what no source can do is left out."""

        def reading(source: Source) -> Callable[[Store, datetime], Outcome]:
            return lambda store, now: collect(store, source, self.config.brands, now)

        past, checked = self.make_sources(), self.make_sources()
        outbox = self.outbox  # what is wrong with it is told before anything runs
        every = {config.name: config.every for config in self.config.sources}
        ages = {config.name: config.recheck for config in self.config.sources if config.recheck}
        brands = self.config.brands
        reads_past = any(isinstance(source.collector, Historian) for source in past)
        checks = any(isinstance(source.collector, Checker) and source.name in ages for source in checked)
        jobs = [
            *(
                Job("collect", config.name, config.every, reading(source))
                for config, source in self.sources
                if not config.collector_kind.pushed
            ),
            Job("backfill", None, EVERY_PAST, lambda s, now: backfill(s, past, brands, now, busy=due(s, every, now))),
            Job("group", None, EVERY, lambda store, _: group(store, stopping)),
            Job("score", None, EVERY, lambda store, _: self.score(store, stopping)),
            Job("watch", None, EVERY, lambda store, now: watch(store, self.watching, now)),
            Job("triage", None, EVERY_DESK, lambda s, now: triage(s, self.triaging, now, stopping), quiet=True),
            Job("survey", None, EVERY_SURVEY, lambda store, now: survey(store, self.watching, now)),
            Job("stale", None, EVERY, lambda store, now: stale(store, self.watching, now)),
            Job("embed", None, EVERY, lambda store, _: self.embed(store, stopping)),
            Job("notify", None, EVERY, self.notify),
            Job("reply", None, EVERY_REPLY, lambda s, now: reply(s, outbox, now, stopping), quiet=True),
            Job("recheck", None, EVERY_CHECK, lambda store, now: recheck(store, checked, ages, brands, now)),
            Job("prune", None, DAY, lambda store, now: prune(store, self.keeps, now)),
        ]
        return [job for job in jobs if {"backfill": reads_past, "recheck": checks}.get(job.name, True)]

    def notify(self, store: Store, now: datetime) -> Outcome:
        """Tell the channels what is due."""
        told = self.config.alerts.competitors
        telling = Telling(
            untold=() if told else self.competitors,
            draw=lambda store, alert: _png(picture_of(store, alert, now)),
            draw_digest=draw_digest,
            draw_journey=draw_journey,
            links=links(self.config.web.url, store, now),
            page=page,
            about=self.about,
        )
        return notify(store, self.outlets, telling, now)

    @property
    def about(self) -> About:
        """Say what digests and reports are about."""
        return About(
            [brand.name for brand in self.config.brands if brand.own],
            self.competitors,
            [source.name for source in self.config.sources],
            self.config.desk.business,
        )

    @property
    def keeps(self) -> Mapping[str, timedelta]:
        """Say how long each platform's posts keep text and author: where several sources read it, the shortest time."""
        found: dict[str, timedelta] = {}
        for config, source in self.sources:
            if config.keep:
                platform = platform_of(source)
                found[platform] = min(config.keep, found.get(platform, config.keep))
        return found

    def score(
        self,
        store: Store,
        stopping: Callable[[], bool] = lambda: False,
        progress: Callable[[int], None] = lambda n: None,
    ) -> Outcome:
        """Score what waits; the model is loaded only if something does."""
        if not store.mentions.pending_count():
            return Outcome({"rated": 0, "not_rated": 0})
        return score(store, self.classifier, utc_now, stopping, progress)

    def embed(self, store: Store, stopping: Callable[[], bool] = lambda: False) -> Outcome:
        """Say what posts of cases mean; the model is loaded only if one of them has no vector at all."""
        loaded = self._loaded
        if not store.embeddings.missing_any(loaded[1].name if loaded else None):
            return Outcome({"embedded": 0})
        return embed(store, self.classifier, stopping)

    def _load(self, found: Registered | None) -> Model:
        from models import classifier

        model = self.config.model
        if found is None:
            return classifier.load(model.name, labels=model.labels, languages=model.languages)
        loaded = classifier.load(str(self.folder_of(found)), languages=model.languages)
        loaded.name = found.name  # as its scores are known, wherever it lies
        return loaded

    def _make_sources(self) -> list[tuple[SourceConfig, Source]]:
        made = [(source, self._source(source)) for source in self.config.sources]
        return sorted(made, key=lambda pair: pair[1].price)

    def _source(self, source: SourceConfig) -> Source:
        try:
            collector = source.collector_kind.build(source.options, self.config.brands)
        except InputError as error:
            raise ConfigError(f"{self.config.path.name}: sources.{source.name}: {error}") from error
        budget = getattr(source.options, "monthly_budget", None)
        total = self.config.monthly_budget
        shared = {} if total is None else {"(shared budget)": str(total)}
        return Source(
            name=source.name,
            kind=source.kind,
            collector=collector,
            fingerprint=fingerprint(source.options, shared),
            monthly_budget=None if budget is None else Decimal(budget),
            total_budget=total,
            price=source.collector_kind.price(source.options),
        )


def draw_digest(moods: Moods, hours: Sequence[Hour]) -> bytes | None:
    """Draw the chart of a digest as a PNG."""
    return _png(digest_chart(moods, hours))


def draw_journey(rows: Sequence[Row]) -> bytes | None:
    """Draw the stages of the journey as a PNG, None where nothing was rated."""
    from monitor.plots.journey import journey_chart

    return journey_chart(rows, "The journey", narrow=True).png() if any(row.compared.net for row in rows) else None


def _png(picture: "Picture | None") -> bytes | None:
    return picture.png() if picture else None
