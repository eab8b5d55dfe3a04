"""The seam: collectors and channels are plugins, the built-in ones too."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import pluggy
from pydantic import BaseModel

from db.errors import InputError
from jobs.channel import Channel
from jobs.collector import Collector
from jobs.replier import Replier
from models.brand import Brand

__all__ = ["Brand", "ChannelKind", "CollectorKind", "Kinds", "hookimpl", "load"]

PROJECT = "sentimon"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True, slots=True)
class CollectorKind:
    """A kind of source: its options (a pydantic model), what builds it, and what its search can express.

    `build(options, brands)` makes the collector without contacting the platform.
    `explain(options, brands)` gives one line a stream for `sentimon check`; it raises InputError for a query that
    the platform cannot express. `first_look(name)` gives options that read the latest posts on a name without any key,
    for `sentimon try`; None where the platform asks for one. The name is "" where a query names nothing but wildcards.
    `price(options)` is what a post costs, in the money of the budget. `pushed` says that it reads nothing: posts are
    brought to it (see monitor/web/inbound.py).
    `replier(options, brands)` makes what answers posts (jobs/replier.py), None where these options do not ask for it.
    """

    kind: str
    options: type[BaseModel]
    build: Callable[[Any, Sequence[Brand]], Collector]
    explain: Callable[[Any, Sequence[Brand]], Sequence[str]]
    first_look: Callable[[str], Mapping[str, object]] | None = None
    price: Callable[[Any], Decimal] = lambda options: Decimal(0)
    pushed: bool = False
    replier: Callable[[Any, Sequence[Brand]], Replier | None] = lambda options, brands: None


@dataclass(frozen=True, slots=True)
class ChannelKind:
    """A kind of notification channel."""

    kind: str
    options: type[BaseModel]
    build: Callable[[Any], Channel]


class RegisterCollector(Protocol):
    def __call__(self, kind: CollectorKind) -> None: ...


class RegisterChannel(Protocol):
    def __call__(self, kind: ChannelKind) -> None: ...


class Hooks:
    """The public hooks."""

    @hookspec
    def register_collectors(self, register: RegisterCollector) -> None:
        """Call register(CollectorKind(…)) for each kind of source that the plugin brings."""

    @hookspec
    def register_channels(self, register: RegisterChannel) -> None:
        """Call register(ChannelKind(…)) for each kind of channel that the plugin brings."""


BUILT_IN = (
    "monitor.collectors.appstore",
    "monitor.collectors.bluesky",
    "monitor.collectors.feed",
    "monitor.collectors.file",
    "monitor.collectors.hackernews",
    "monitor.collectors.mastodon",
    "monitor.collectors.reddit",
    "monitor.collectors.webhook",
    "monitor.collectors.x",
    "monitor.collectors.youtube",
    "monitor.channels.apprise",
    "monitor.channels.console",
    "monitor.channels.webhook",
)


def _load_installed(manager: pluggy.PluginManager) -> None:
    """Load the plugins of other distributions; one that does not load is named."""
    from importlib.metadata import entry_points

    for entry in entry_points(group=PROJECT):
        try:
            plugin = entry.load()
        except Exception as error:  # whatever a stranger's module does, the person is told which one it is
            package = entry.dist.name if entry.dist else entry.module
            raise InputError(
                f"the plugin {entry.name} of {package} does not load ({type(error).__name__}: {error}); "
                f"mend it, or `pip uninstall {package}`"
            ) from error
        if not manager.is_registered(plugin):
            manager.register(plugin, entry.name)


@dataclass(frozen=True, slots=True)
class Kinds:
    """Everything that is registered, by kind."""

    collectors: Mapping[str, CollectorKind]
    channels: Mapping[str, ChannelKind]


def load(third_party: bool = True) -> Kinds:
    """Register the built-in plugins and, unless told otherwise, those installed beside sentimon."""
    import importlib

    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    for name in BUILT_IN:
        manager.register(importlib.import_module(name), name)
    if third_party:
        _load_installed(manager)
    collectors: dict[str, CollectorKind] = {}
    channels: dict[str, ChannelKind] = {}

    def register_collector(kind: CollectorKind) -> None:
        if kind.kind in collectors:
            raise InputError(f"two plugins offer the source kind {kind.kind!r}; uninstall one of them")
        collectors[kind.kind] = kind

    def register_channel(kind: ChannelKind) -> None:
        if kind.kind in channels:
            raise InputError(f"two plugins offer the channel kind {kind.kind!r}; uninstall one of them")
        channels[kind.kind] = kind

    manager.hook.register_collectors(register=register_collector)
    manager.hook.register_channels(register=register_channel)
    return Kinds(collectors, channels)
