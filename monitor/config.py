"""sentimon.toml to one frozen Config. The only module that reads configuration files, secrets and the environment.

Every error is one line: file, key, what is wrong and, where there is one, the nearest valid key. It takes no more than
location and message from pydantic, and blots out what options hold, so that no secret gets into it.
"""

import difflib
import os
import tomllib
import types
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeGuard, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from db.errors import ConfigError, InputError
from jobs.decide import TOLD_ALL, Policy
from jobs.outlet import DigestTime
from jobs.rules import Sensitivity
from models import query
from monitor.plugins import Brand, ChannelKind, CollectorKind, Kinds
from monitor.sections import (
    AlertsConfig,
    BrandSection,
    ChannelSection,
    DeskConfig,
    FileSection,
    ModelConfig,
    OidcConfig,
    SourceSection,
    WebConfig,
    span_of,
)
from monitor.wanted import wanted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FILE_NAME = "sentimon.toml"
VARIABLE = "SENTIMON_CONFIG"


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """A source ready to build, or, with options None, what it still lacks."""

    name: str
    kind: str
    every: timedelta
    options: BaseModel | None = field(repr=False)  # holds secrets
    missing: tuple[str, ...]  # "bearer_token: environment variable X_BEARER_TOKEN"
    collector_kind: CollectorKind
    preview: BaseModel | None = field(repr=False)  # the options with something in place of what is missing, to explain
    recheck: timedelta | None = None  # how old posts are that are still checked on their platform; None: none are
    keep: timedelta | None = None  # how long text and author of the platform's posts are kept; None: for ever


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """A channel ready to build, or, with options None, what it still lacks."""

    name: str
    kind: str
    options: BaseModel | None = field(repr=False)
    missing: tuple[str, ...]
    channel_kind: ChannelKind
    policy: Policy = TOLD_ALL
    digest: DigestTime | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """All that sentimon.toml says, checked."""

    path: Path
    database: Path
    brands: tuple[Brand, ...]
    sources: tuple[SourceConfig, ...]
    channels: tuple[ChannelConfig, ...]
    model: ModelConfig
    alerts: AlertsConfig
    web: WebConfig
    desk: DeskConfig
    monthly_budget: Decimal | None = None  # what all sources together may spend
    sensitivities: Mapping[str, Sensitivity] = field(default_factory=dict)  # of the brands


def find(option: Path | None, environ: Mapping[str, str] | None = None) -> Path:
    """The file to read: the option, else $SENTIMON_CONFIG, else sentimon.toml in the current folder."""
    named = _environment(environ).get(VARIABLE)
    path = option or Path(named or FILE_NAME)
    if os.path.exists(path):  # unlike Path.exists, no error where a folder on the way is closed
        return path
    if option is None and not named:
        raise ConfigError(f"no {FILE_NAME} here; `sentimon init` writes one")
    raise ConfigError(f"{path}: no such file{'' if option else f' (named by {VARIABLE})'}; `sentimon init` writes one")


def load(path: Path, kinds: Kinds, environ: Mapping[str, str] | None = None, strict: bool = True) -> Config:
    """Read and check a file; see load_text."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start + 1})") from None
    return load_text(text, path, kinds, environ, strict)


def load_text(
    text: str, path: Path, kinds: Kinds, environ: Mapping[str, str] | None = None, strict: bool = True
) -> Config:
    """Check the text of a file that lies, or would lie, at path.

    With strict the first secret that is not set is an error. Without, its source or channel has options None and says
    in `missing` what it lacks.
    """
    top = _Place(path)
    try:
        data = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, and what int() says of absurd numbers
        raise top.error(f"is not TOML: {error}") from None
    file = _validate(top, FileSection, data)
    entries = _Entries(_Secrets(path, _environment(environ)), strict)
    written = [(place, _validate(place, BrandSection, table)) for place, table in _tables(top, "brands", file.brands)]
    brands = tuple(_brand(place, section) for place, section in written)
    _unique(top.at("brands"), [brand.name for brand in brands])
    if not brands:
        raise top.at("brands").error("at least one [[brands]] is needed")
    sources = tuple(entries.source(place, table, kinds) for place, table in _tables(top, "sources", file.sources))
    _unique(top.at("sources"), [source.name for source in sources])
    channels = tuple(entries.channel(place, table, kinds) for place, table in _tables(top, "channels", file.channels))
    _unique(top.at("channels"), [channel.name for channel in channels])
    _known_brands(top.at("channels"), channels, [brand.name for brand in brands])
    alerts = _validate(top.at("alerts"), AlertsConfig, file.alerts)
    return Config(
        path=path,
        database=_beside(path, file.database),
        brands=brands,
        sources=sources,
        channels=channels,
        model=_model(top.at("model"), file.model),
        alerts=alerts,
        web=_web(top.at("web"), file.web, entries),
        desk=_validate(top.at("desk"), DeskConfig, file.desk),
        monthly_budget=None if file.monthly_budget is None else Decimal(str(file.monthly_budget)),
        sensitivities={
            section.name: Sensitivity(section.threshold or alerts.threshold, section.minimum or alerts.minimum)
            for _, section in written
        },
    )


def template() -> str:
    """The commented file to start from."""
    return resources.files("monitor").joinpath("init_template.toml").read_text(encoding="utf-8")


def write_template(path: Path) -> None:
    """Write the commented file, never over another one."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template())
    except (FileExistsError, IsADirectoryError):
        if path.is_dir():
            raise ConfigError(f"{path}: is a folder; name a file, as in `sentimon init {path / FILE_NAME}`") from None
        raise ConfigError(f"{path}: is there already and stays as it is; remove it to start afresh") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of a section or of a plugin's options, as they are written in the file."""
    return [info.alias or name for name, info in model.model_fields.items()]


def _beside(file: Path, name: str) -> Path:
    """Paths in the file are meant from where it lies."""
    return file.absolute().parent / os.path.expanduser(name)


def _environment(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    return os.environ if environ is None else environ  # noqa: TID251 - the one place that reads it


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the file we are, for errors to name."""

    file: Path
    keys: tuple[str, ...] = ()

    def at(self, *keys: str) -> "_Place":
        return _Place(self.file, self.keys + keys)

    def error(self, message: str) -> ConfigError:
        line = ": ".join(part for part in (str(self.file), ".".join(self.keys), message) if part)
        return ConfigError("".join(c if c.isprintable() else " " for c in line))


M = TypeVar("M", bound=BaseModel)
K = TypeVar("K", CollectorKind, ChannelKind)


def _tables(top: _Place, key: str, value: object) -> list[tuple[_Place, dict[str, object]]]:
    """The entries of an array of tables, each with its place: its name, its kind or, with neither, its number."""
    if not isinstance(value, list | tuple) or not all(isinstance(table, dict) for table in value):
        raise top.at(key).error(f"should be written [[{key}]], once for each")
    return [
        (top.at(key, next((n for n in (table.get("name"), table.get("kind")) if _fits(n)), f"#{number}")), table)
        for number, table in enumerate(value, 1)
    ]


def _fits(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and 0 < len(name) <= 60


def _unique(place: _Place, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise place.at(name).error("this name is used twice; give each its own name (capitals do not count)")
        seen.add(name.casefold())


def _nearest(word: str, valid: Collection[str]) -> str:
    """A hint: the valid word that was probably meant, else all of them."""
    close = difflib.get_close_matches(word.lower(), valid, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(valid)) or 'none'}"


def _check_keys(place: _Place, table: Mapping[str, object], valid: Collection[str]) -> None:
    for key in table:
        if key not in valid:
            raise place.at(key).error(f"unknown key; {_nearest(key, valid)}")


def _validate(place: _Place, model: type[M], values: object) -> M:
    """Check a section whose keys are known here."""
    if not isinstance(values, dict):
        raise place.error(f"should be a section of its own, written [{place.keys[-1]}]")
    _check_keys(place, values, keys_of(model))
    checked, error = _try(place, model, values)
    if checked is None:
        raise error or place.error("cannot be used")
    return checked


def _try(
    place: _Place, model: type[M], values: Mapping[str, object], hide: Iterable[str] = (), gaps: Collection[str] = ()
) -> tuple[M | None, ConfigError | None]:
    """The model or its first error, not raised: from here it would drag the values along as its context.

    Errors that the keys in `gaps` may have caused by their absence do not count.
    """
    try:
        return model.model_validate(values), None
    except ValidationError as error:
        found = [(e["type"], e["loc"], _typed(model, e) or e["msg"]) for e in error.errors(include_context=False)]
    except InputError as error:
        found = [("", (), str(error))]
    for kind, loc, message in found:
        if not gaps or (loc and loc[0] not in gaps):
            return None, place.at(*map(str, loc)).error(_say(kind, message, hide))
    return None, None


def _typed(model: type[BaseModel], error: "ErrorDetails") -> str | None:
    """What is told of a wrong type, which is no more than the type of what was found."""
    loc = error["loc"]
    return wanted(error["type"], error["input"], str(loc[0]) if len(loc) == 1 else None, model)


def _say(kind: str, message: str, hide: Iterable[str]) -> str:
    """What pydantic says, in the words of this file and without the values to hide."""
    if kind in ("missing", "extra_forbidden"):
        return "is missing" if kind == "missing" else "unknown key"
    if kind in ("value_error", "assertion_error"):
        message = message.partition(", ")[2]
    for text in sorted(hide, key=len, reverse=True):
        message = message.replace(text, "…")
    return message.removeprefix("Input ").removeprefix("String ")


def _known_brands(place: _Place, channels: Iterable[ChannelConfig], known: Sequence[str]) -> None:
    for channel in channels:
        for name in channel.policy.brands:
            if name not in known:
                there = ", ".join(known)
                raise place.at(channel.name, "brands").error(f"there is no brand {name!r}; there are: {there}")


def _brand(place: _Place, section: BrandSection) -> Brand:
    hide = None if section.hide is None else _query(place.at("hide"), section.hide)
    return Brand(section.name, _query(place.at("query"), section.query), section.role == "own", section.accounts, hide)


def _query(place: _Place, text: str) -> query.Query:
    try:
        return query.parse(text)
    except InputError as error:
        raise place.error(str(error).removeprefix("query: ")) from None


def _model(place: _Place, table: object) -> ModelConfig:
    model = _validate(place, ModelConfig, table)
    folder = _beside(place.file, model.name)
    if model.name != "bundled" and (model.name.startswith((".", "/", "~")) or os.path.isdir(folder)):
        return model.model_copy(update={"name": str(folder)})
    return model


@dataclass(frozen=True, slots=True)
class _Missing:
    key: str
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.key}: {self.what}"


@dataclass(frozen=True, slots=True)
class _Secrets:
    """Looks up `{ env = "NAME" }` and `{ file = "PATH" }`."""

    file: Path
    environ: Mapping[str, str] = field(repr=False)

    def resolve(self, place: _Place, key: str, reference: Mapping[str, object]) -> str | _Missing:
        _check_keys(place.at(key), reference, ("env", "file"))
        if len(reference) != 1:
            raise place.at(key).error('write either { env = "NAME" } or { file = "PATH" }')
        ((how, where),) = reference.items()
        if not isinstance(where, str) or not where:
            raise place.at(key, how).error("should be a text in quotes")
        if how == "env":
            value, what, why = self.environ.get(where, ""), f"environment variable {where}", "is not set"
        else:
            value, what, why = "", f"file {where}", "is empty"
            try:
                value = _beside(self.file, where).read_text(encoding="utf-8").rstrip("\r\n")
            except OSError as error:
                why = f"cannot be read: {error.strerror}"
            except ValueError:
                why = "is not UTF-8 text"
        return value if value.strip() else _Missing(key, what, why)


@dataclass(frozen=True, slots=True)
class _Entries:
    """Reads the entries whose keys a plugin defines: sources and channels."""

    secrets: _Secrets
    strict: bool

    def source(self, place: _Place, table: dict[str, object], kinds: Kinds) -> SourceConfig:
        section = _head(place, SourceSection, table)
        kind = _kind(place, "source", section.kind, kinds.collectors)
        options, missing, preview = self._options(place, SourceSection, table, kind.options)
        return SourceConfig(
            name=section.name or section.kind,
            kind=section.kind,
            every=span_of(section.every),
            options=options,
            missing=missing,
            collector_kind=kind,
            preview=preview,
            recheck=None if section.recheck == "off" else span_of(section.recheck),
            keep=span_of(section.keep) if section.keep else None,
        )

    def channel(self, place: _Place, table: dict[str, object], kinds: Kinds) -> ChannelConfig:
        section = _head(place, ChannelSection, table)
        kind = _kind(place, "channel", section.kind, kinds.channels)
        options, missing, _ = self._options(place, ChannelSection, table, kind.options)
        return ChannelConfig(
            name=section.name or section.kind,
            kind=section.kind,
            options=options,
            missing=missing,
            channel_kind=kind,
            policy=section.policy,
            digest=section.digest_time,
        )

    def _options(
        self, place: _Place, head: type[BaseModel], table: Mapping[str, object], model: type[BaseModel]
    ) -> tuple[BaseModel | None, tuple[str, ...], BaseModel | None]:
        own = {key: value for key, value in table.items() if key not in head.model_fields}
        if model.model_config.get("extra") != "allow":
            _check_keys(place, own, [*keys_of(model), *head.model_fields])
        missing: list[_Missing] = []
        for key, value in own.items():
            if isinstance(value, dict) and not _takes(model, key, Mapping, BaseModel):
                found = self.secrets.resolve(place, key, value)
                if isinstance(found, _Missing):
                    missing.append(found)
                else:
                    own[key] = found
        if missing and self.strict:
            raise place.at(missing[0].key).error(f"{missing[0].what} {missing[0].why}")
        gaps = {gap.key for gap in missing}
        present = {key: value for key, value in own.items() if key not in gaps}
        for key, value in present.items():
            if isinstance(value, str) and _takes(model, key, Path):
                present[key] = str(_beside(place.file, value))
        options, error = _try(place, model, present, set(_texts(present)), gaps)
        if error:
            raise error
        if not missing:
            return options, (), options
        preview, _ = _try(place, model, present | dict.fromkeys(gaps, "missing"), set(), set())
        return None, tuple(map(str, missing)), preview


def _web(place: _Place, table: object, entries: _Entries) -> WebConfig:
    """Check [web], with the secret of [web.oidc] looked up: None where it is not there and need not be."""
    oidc = table.get("oidc") if isinstance(table, dict) else None
    if not isinstance(table, dict) or not isinstance(oidc, dict):
        return _validate(place, WebConfig, table)
    below, key = place.at("oidc"), "client_secret"
    _check_keys(below, oidc, keys_of(OidcConfig))
    if isinstance(oidc.get(key), dict):
        found = entries.secrets.resolve(below, key, oidc[key])
        if isinstance(found, _Missing) and entries.strict:
            raise below.at(key).error(f"{found.what} {found.why}")
        oidc = {**oidc, key: None if isinstance(found, _Missing) else found}
    return _validate(place, WebConfig, {**table, "oidc": _validate(below, OidcConfig, oidc)})


def _head(place: _Place, section: type[M], table: Mapping[str, object]) -> M:
    """The keys of an entry that do not belong to its plugin."""
    return _validate(place, section, {key: value for key, value in table.items() if key in section.model_fields})


def _kind(place: _Place, noun: str, kind: str, known: Mapping[str, K]) -> K:
    if kind in known:
        return known[kind]
    close = difflib.get_close_matches(kind.lower(), known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise place.at("kind").error(f"unknown {noun} kind {kind!r}; {hint}known: {', '.join(sorted(known)) or 'none'}")


def _takes(model: type[BaseModel], key: str, *wanted: type) -> bool:
    """Whether an option is declared as one of these types."""
    annotations = [info.annotation for name, info in model.model_fields.items() if key in (name, info.alias)]
    while annotations:
        annotation = annotations.pop()
        shape = get_origin(annotation) or annotation
        if shape in (Annotated, Union, types.UnionType):
            annotations.extend(get_args(annotation))
        elif isinstance(shape, type) and issubclass(shape, wanted):
            return True
    return False


def _texts(value: object) -> Iterator[str]:
    """The texts among options that could be secrets: no lists, whose mistakes are easier found when they are shown,
    and none so short that blotting it out would garble the message."""
    if isinstance(value, str) and len(value) > 3:
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
