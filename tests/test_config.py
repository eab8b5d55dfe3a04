"""sentimon.toml: what it may say, what is said of mistakes, and that no secret gets out."""

import re
from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pytest
from pydantic import BaseModel, SecretStr, create_model, field_validator, model_validator

from db.errors import ConfigError, InputError
from monitor import config, plugins, sections
from monitor.plugins import ChannelKind, CollectorKind, Kinds

SECTIONS = "alerts, brands, channels, database, desk, model, monthly_budget, sources, web"
SECRET, BRAND = "hunter2-hunter2", '[[brands]]\nname = "acme"\nquery = "acme"\n'
TWICE = "this name is used twice; give each its own name (capitals do not count)"
RANGE = "should be at least 30s and at most 365d"
MODEL, SOURCE, CHANNEL = BRAND + "[model]\n", BRAND + "[[sources]]\n", BRAND + "[[channels]]\n"
X = SOURCE + 'kind = "x"\n'


class XOptions(BaseModel):
    bearer_token: SecretStr
    api_url: str = "https://api.twitter.com"
    monthly_budget: float | None = None
    price_per_post: float = 0.005
    timeout: float = 15

    @field_validator("api_url")
    @classmethod
    def _https(cls, url: str) -> str:
        if not url.startswith("http"):
            raise ValueError(f"{url} is no address")
        return url


class RedditOptions(BaseModel):
    subreddits: list[str]
    client_id: str
    client_secret: str | None = None
    user_agent: str = "sentimon"
    reddit_url: str = "https://www.reddit.com"
    oauth_url: str = "https://oauth.reddit.com"
    timeout: float = 15
    overlap: int = 60


class FileOptions(BaseModel):
    path: Path


class AppriseOptions(BaseModel):
    url: str

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        if "://" not in url:
            raise ValueError(f"{url} is no address")
        return url


class TalkativeOptions(BaseModel, extra="allow"):
    """A plugin with a table among its options and checks of every sort."""

    token: str = ""
    names: list[str] = []
    headers: dict[str, str] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.token == "unusable":
            raise InputError("this token\nis unusable")
        if not self.token and not self.headers:
            raise ValueError("give a token or headers")
        if self.names:
            raise ValueError(f"not {self.names} with {self.headers}")
        return self


def collector(kind: str, options: type[BaseModel]) -> CollectorKind:
    return CollectorKind(kind, options, build=lambda options, brands: None, explain=lambda options, brands: ())


COLLECTORS = {"x": XOptions, "reddit": RedditOptions, "file": FileOptions, "talkative": TalkativeOptions}
KINDS = Kinds(
    {kind: collector(kind, options) for kind, options in COLLECTORS.items()},
    {
        "apprise": ChannelKind("apprise", AppriseOptions, build=lambda options: None),
        "console": ChannelKind("console", create_model("ConsoleOptions"), build=lambda options: None),
    },
)


def read(text: str, environ: dict[str, str] | None = None, strict: bool = True, path: str = "sentimon.toml") -> Any:
    return config.load_text(text, Path(path), KINDS, environ or {}, strict)


def complaint(text: str, environ: dict[str, str] | None = None, strict: bool = True) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text, environ, strict)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_file_with_everything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sentimon.toml"
    path.write_text(
        """
        database = "data/posts.db"
        [[brands]]
        name = " acme "
        query = 'acme OR "acme corp"'
        accounts = { X = "@acmehelp" }
        [[brands]]
        name = "globex"
        role = "competitor"
        query = "globex"
        [[sources]]
        kind = "x"
        name = "search"
        every = "2h"
        bearer_token = { env = "X_BEARER_TOKEN" }
        monthly_budget = 50
        [[channels]]
        name = "team"
        url = { file = "secrets/team" }
        [model]
        name = "someone/model"
        labels = { LABEL_0 = "negative", LABEL_1 = "positive" }
        languages = ["EN", "de"]
        [alerts]
        threshold = 3
        minimum = 10
        [web]
        host = "0.0.0.0"
        port = 80
        """,
        encoding="utf-8-sig",
    )
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "team").write_text("json://127.0.0.1\r\n")

    read = config.load(path, KINDS, {"X_BEARER_TOKEN": SECRET})

    assert read.path == path
    assert read.database == tmp_path / "data/posts.db"
    assert [(brand.name, brand.own, dict(brand.accounts)) for brand in read.brands] == [
        ("acme", True, {"x": "acmehelp"}),
        ("globex", False, {}),
    ]
    (source,), (channel,) = read.sources, read.channels
    assert (source.name, source.kind, source.every, source.missing) == ("search", "x", timedelta(hours=2), ())
    assert source.collector_kind is KINDS.collectors["x"]
    assert isinstance(source.options, XOptions)
    assert (source.options.bearer_token.get_secret_value(), source.options.monthly_budget) == (SECRET, 50.0)
    assert (channel.name, channel.kind, channel.options) == ("team", "apprise", AppriseOptions(url="json://127.0.0.1"))
    assert (read.model.name, read.model.languages) == ("someone/model", ("en", "de"))
    assert read.model.labels == {"LABEL_0": "negative", "LABEL_1": "positive"}
    assert (read.alerts.threshold, read.alerts.minimum) == (3.0, 10)
    assert (read.web.host, read.web.port) == ("0.0.0.0", 80)


def test_what_is_left_out_has_defaults() -> None:
    smallest = read(X + 'bearer_token = "t"\n[[channels]]\nurl = "json://localhost"', path="/srv/sentimon.toml")
    assert smallest.database == Path("/srv/sentimon.db")
    assert [(source.name, source.every) for source in smallest.sources] == [("x", timedelta(minutes=5))]
    assert [channel.name for channel in smallest.channels] == ["apprise"]
    assert (smallest.model.name, smallest.model.labels, smallest.model.languages) == ("bundled", None, ("en",))
    assert (smallest.alerts.threshold, smallest.alerts.minimum) == (4.0, 5)
    assert (smallest.web.host, smallest.web.port) == ("127.0.0.1", 8420)


def test_another_model_rates_every_language_unless_told() -> None:
    assert read(BRAND + '[model]\nname = "someone/model"').model.languages is None


def test_paths_are_meant_from_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    text = 'database = "a.db"\n' + BRAND + '[[sources]]\nkind = "file"\npath = "posts.csv"\n[model]\nname = "mine"'
    here = read(text, path=str(tmp_path / "sentimon.toml"))
    assert here.database == tmp_path / "a.db"
    assert here.sources[0].options.path == tmp_path / "posts.csv"
    assert here.model.name == str(tmp_path / "mine")
    assert read(text.replace("a.db", "/var/a.db")).database == Path("/var/a.db")


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("5m", 300), ("1 h", 3600), ("2d", 172_800)])
def test_an_interval_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert read(X + f'bearer_token = "t"\nevery = "{text}"').sources[0].every == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("brands = [", "is not TOML: Invalid value (at end of document)"),
        ("database = 'a'\nbrands == 1", "is not TOML: Invalid value (at line 2, column 9)"),
        ("alert = 1", "alert: unknown key; did you mean alerts?"),
        ("zzz = 1", f"zzz: unknown key; known: {SECTIONS}"),
        ("", "brands: at least one [[brands]] is needed"),
        ("database = 5\n" + BRAND, 'database: should be a text in quotes, such as "sentimon.db", not a number'),
        ("[brands]\nname = 'acme'", "brands: should be written [[brands]], once for each"),
        ("[[brands]]\nquery = 'acme'", "brands.#1.name: is missing"),
        ("[[brands]]\nname = 'acme'", "brands.acme.query: is missing"),
        (
            "[[brands]]\nname = 7\nquery = 'acme'",
            'brands.#1.name: should be a text in quotes, such as "acme", not a number',
        ),
        ("[[brands]]\nname = ' '\nquery = 'acme'", "brands. .name: must not be empty"),
        (
            f"[[brands]]\nname = '{'a' * 61}'\nquery = 'acme'",
            "brands.#1.name: must not be longer than 60 characters (this one has 61)",
        ),
        (
            "[[brands]]\nname = '(none)'\nquery = 'acme'",
            "brands.(none).name: (none) is taken: posts without a brand are counted under it",
        ),
        (
            '[[brands]]\nname = "a\\nb"\nquery = "acme"',
            "brands.a b.name: must not hold line breaks or control characters",
        ),
        (BRAND + "qury = 1", "brands.acme.qury: unknown key; did you mean query?"),
        (BRAND + "role = 'rival'", "brands.acme.role: should be 'own' or 'competitor'"),
        (BRAND + "accounts = 'a'", 'brands.acme.accounts: should be a table, such as { x = "acme" }, not a text'),
        (
            BRAND + "accounts = {x = 1}",
            'brands.acme.accounts.x: should be a text in quotes, such as "acme", not a number',
        ),
        (BRAND + "accounts = {x = '@'}", "brands.acme.accounts: the account on x is empty"),
        (BRAND + BRAND.replace("acme", "ACME"), "brands.ACME: " + TWICE),
        (BRAND + "[sources]\nkind = 'x'", "sources: should be written [[sources]], once for each"),
        (SOURCE + "name = 'a'", "sources.a.kind: is missing"),
        (
            SOURCE + "kind = 'Redit'",
            "sources.Redit.kind: unknown source kind 'Redit'; did you mean reddit? known: file, reddit, talkative, x",
        ),
        (CHANNEL + "kind = 'pigeon'", "channels.pigeon.kind: unknown channel kind 'pigeon'; known: apprise, console"),
        (X + "bearer_tokn = 't'", "sources.x.bearer_tokn: unknown key; did you mean bearer_token?"),
        (X + "evry = '5m'", "sources.x.evry: unknown key; did you mean every?"),
        (X, "sources.x.bearer_token: is missing"),
        (X + "bearer_token = ['t']", 'sources.x.bearer_token: should be a text in quotes, such as "acme", not a list'),
        (
            X + "bearer_token = 't'\nmonthly_budget = 'much'",
            "sources.x.monthly_budget: should be a number, such as 2.5, not a text",
        ),
        (
            X + "bearer_token = 't'\nevery = 300",
            'sources.x.every: should be a text in quotes, such as "5m", not a number',
        ),
        (
            X + "bearer_token = 't'\nevery = '5 minutes'",
            'sources.x.every: should be a number and a unit (s, m, h or d), for example "5m"',
        ),
        (X + "every = '29s'", "sources.x.every: " + RANGE),
        (X + "every = '999999999d'", "sources.x.every: " + RANGE),
        (
            X + "bearer_token = 't'\n[[sources]]\nkind = 'reddit'\nname = 'X'\nsubreddits = ['a']\nclient_id = 'i'",
            "sources.X: " + TWICE,
        ),
        (CHANNEL + "name = 'a'\nurll = ''", "channels.a.urll: unknown key; did you mean url?"),
        (CHANNEL + "url = 'a://b'\n[[channels]]\nurl = 'c://d'", "channels.apprise: " + TWICE),
        ("model = 'bundled'\n" + BRAND, "model: should be a section of its own, written [model]"),
        (MODEL + "label = {}", "model.label: unknown key; did you mean labels?"),
        (MODEL + "name = ''", "model.name: should have at least 1 character"),
        (MODEL + "name = 'm/m'\nlabels = {a = 'bad'}", "model.labels.a: should be 'negative', 'neutral' or 'positive'"),
        (MODEL + "labels = {a = 'negative'}", "model: labels is for other models; the bundled one needs none"),
        (MODEL + "languages = ['english']", 'model.languages.0: should be a language code such as "en"'),
        (BRAND + "[alerts]\nthreshhold = 3", "alerts.threshhold: unknown key; did you mean threshold?"),
        (BRAND + "[alerts]\nthreshold = '3'", "alerts.threshold: should be a number, such as 4.0, not a text"),
        (BRAND + "[alerts]\nthreshold = nan", "alerts.threshold: should be a finite number"),
        (BRAND + "[alerts]\nminimum = true", "alerts.minimum: should be a whole number, such as 5, not true or false"),
        (BRAND + "[web]\nport = 70000", "web.port: should be less than or equal to 65535"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_and_key(text: str, expected: str) -> None:
    assert complaint(text) == f"sentimon.toml: {expected}"


def test_a_query_that_cannot_be_read_is_named_with_its_brand() -> None:
    line = complaint("[[brands]]\nname = 'acme'\nquery = 'acme OR'")
    assert line.startswith("sentimon.toml: brands.acme.query: OR needs a word after it")


def test_several_brands_of_either_role_are_fine() -> None:
    brands = [BRAND.replace("acme", f"b{number}") for number in range(4)]
    rivals = [brand + 'role = "competitor"\n' for brand in brands[2:]]
    assert [brand.own for brand in read("".join(brands[:2] + rivals)).brands] == [True, True, False, False]


REFERENCE = X + 'bearer_token = { env = "X_BEARER_TOKEN" }\n'


@pytest.mark.parametrize("environ", [{}, {"X_BEARER_TOKEN": ""}, {"X_BEARER_TOKEN": " "}])
def test_a_secret_that_is_not_set_is_an_error_or_on_request_a_note(environ: dict[str, str]) -> None:
    line = "sentimon.toml: sources.x.bearer_token: environment variable X_BEARER_TOKEN is not set"
    assert complaint(REFERENCE, environ) == line
    (source,) = read(REFERENCE, environ, strict=False).sources
    assert source.options is None
    assert source.missing == ("bearer_token: environment variable X_BEARER_TOKEN",)


def test_all_missing_secrets_are_listed() -> None:
    text = (
        REFERENCE
        + """
        [[sources]]
        kind = "reddit"
        subreddits = ["acme"]
        client_id = { env = "ID" }
        client_secret = { file = "nowhere/secret" }
        [[channels]]
        url = { env = "TEAM" }
    """
    )
    lax = read(text, {"ID": "id"}, strict=False)
    assert [entry.missing for entry in (*lax.sources, *lax.channels)] == [
        ("bearer_token: environment variable X_BEARER_TOKEN",),
        ("client_secret: file nowhere/secret",),
        ("url: environment variable TEAM",),
    ]
    assert all(entry.options is None for entry in (*lax.sources, *lax.channels))


def test_other_mistakes_show_while_a_secret_is_missing() -> None:
    line = "sentimon.toml: sources.x.timeout: should be a number, such as 15, not a text"
    assert complaint(REFERENCE + 'timeout = "long"', strict=False) == line
    assert "did you mean timeout" in complaint(REFERENCE + "timeot = 1", strict=False)


def test_a_check_over_all_options_waits_for_the_missing_one() -> None:
    talkative = BRAND + '[[sources]]\nkind = "talkative"\n'
    assert complaint(talkative) == "sentimon.toml: sources.talkative: give a token or headers"
    assert read(talkative + 'token = { env = "T" }', strict=False).sources[0].missing


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_a_secret_file_that_gives_nothing_is_missing(content: bytes | None, why: str, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    if content is not None:
        secret.write_bytes(content)
    text = X + f"bearer_token = {{ file = '{secret}' }}"
    assert complaint(text) == f"sentimon.toml: sources.x.bearer_token: file {secret} {why}"
    assert read(text, strict=False).sources[0].missing == (f"bearer_token: file {secret}",)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ('{ envv = "X" }', "sources.x.bearer_token.envv: unknown key; did you mean env?"),
        ('{ secret = "X" }', "sources.x.bearer_token.secret: unknown key; known: env, file"),
        ('{ env = "X", file = "Y" }', 'sources.x.bearer_token: write either { env = "NAME" } or { file = "PATH" }'),
        ("{}", 'sources.x.bearer_token: write either { env = "NAME" } or { file = "PATH" }'),
        ("{ env = 5 }", "sources.x.bearer_token.env: should be a text in quotes"),
        ('{ file = "" }', "sources.x.bearer_token.file: should be a text in quotes"),
    ],
)
def test_a_reference_of_the_wrong_shape_is_refused(reference: str, expected: str) -> None:
    assert complaint(X + f"bearer_token = {reference}") == f"sentimon.toml: {expected}"
    assert complaint(X + f"bearer_token = {reference}", strict=False) == f"sentimon.toml: {expected}"


def test_an_option_that_is_a_table_is_left_as_it_is() -> None:
    (source,) = read(BRAND + '[[sources]]\nkind = "talkative"\nheaders = { env = "test" }\nmore = 1').sources
    assert source.options.headers == {"env": "test"}


@pytest.mark.parametrize(
    "text",
    [
        BRAND + '[[channels]]\nurl = { env = "S" }',
        BRAND + f'[[channels]]\nurl = "{SECRET}"',
        BRAND + '[[channels]]\nurl = { env = "S" }\nurll = 1',
        X + 'bearer_token = { env = "S" }\napi_url = { env = "S" }',
        X + 'bearer_token = { env = "S" }\ntimeout = { env = "S" }',
        X + f'bearer_token = "{SECRET}"\nmonthly_budget = "{SECRET}"',
        X + f'bearer_token = ["{SECRET}"]',
        BRAND + f'[[sources]]\nkind = "talkative"\nnames = ["a"]\nheaders = {{ Authorization = "{SECRET}" }}',
        f'bearer_token = "{SECRET}',
    ],
)
def test_no_error_holds_a_secret(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, {"S": SECRET})
    error: BaseException | None = caught.value
    while error:
        assert "hunter2" not in f"{error} {error!r}"
        error = error.__context__


def test_no_repr_holds_a_secret() -> None:
    text = REFERENCE + 'api_url = { env = "URL" }\n[[channels]]\nurl = { env = "URL" }'
    full = read(text, {"X_BEARER_TOKEN": SECRET, "URL": f"http://{SECRET}"})
    assert full.sources[0].options.api_url == full.channels[0].options.url == f"http://{SECRET}"
    assert "hunter2" not in repr(full)


def test_what_is_wrong_in_a_list_is_shown() -> None:
    text = BRAND + '[[sources]]\nkind = "talkative"\ntoken = "abcd"\nnames = ["wrong-one"]'
    assert complaint(text) == "sentimon.toml: sources.talkative: not ['wrong-one'] with None"


def test_what_a_plugin_refuses_in_its_own_way_is_one_line_too() -> None:
    text = BRAND + '[[sources]]\nkind = "talkative"\ntoken = "unusable"'
    assert complaint(text) == "sentimon.toml: sources.talkative: this token is …"


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file or directory$"):
        config.load(tmp_path / "none.toml", KINDS, {})
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory$"):
        config.load(tmp_path, KINDS, {})
    latin = tmp_path / "latin.toml"
    latin.write_bytes("# é".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.toml: is not UTF-8 text \(byte 3\)"):
        config.load(latin, KINDS, {})


def test_the_file_is_looked_for_in_the_option_then_the_environment_then_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SENTIMON_CONFIG", raising=False)
    with pytest.raises(ConfigError) as caught:
        config.find(None)
    assert str(caught.value) == "no sentimon.toml here; `sentimon init` writes one"
    for name in ("option.toml", "named.toml", "sentimon.toml"):
        Path(name).touch()
    assert config.find(None) == Path("sentimon.toml")
    monkeypatch.setenv("SENTIMON_CONFIG", "named.toml")
    assert config.find(None) == Path("named.toml")
    assert config.find(Path("option.toml")) == Path("option.toml")
    with pytest.raises(ConfigError, match=r"^gone\.toml: no such file; `sentimon init` writes one$"):
        config.find(Path("gone.toml"))
    with pytest.raises(ConfigError, match=r"^gone\.toml: no such file \(named by SENTIMON_CONFIG\)"):
        config.find(None, {"SENTIMON_CONFIG": "gone.toml"})


def test_the_template_is_written_once_and_loads(tmp_path: Path) -> None:
    path = tmp_path / "sentimon.toml"
    config.write_template(path)
    written = config.load(path, KINDS, {})
    assert [(brand.name, brand.own) for brand in written.brands] == [("acme", True), ("globex", False)]
    assert (written.sources, written.channels) == ((), ())

    path.write_text("mine")
    with pytest.raises(ConfigError) as caught:
        config.write_template(path)
    assert caught.value.exit_code == 2
    assert path.read_text() == "mine"
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        config.write_template(tmp_path / "none" / "sentimon.toml")


def uncommented_template() -> str:
    text = re.sub(r"^#(?=\S)", "", config.template(), flags=re.MULTILINE)
    return text.replace('name = "bundled"', 'name = "someone/model"')  # the bundled one takes no labels


def test_the_values_that_the_template_shows_are_the_defaults() -> None:
    shown, plain = read(config.template()), read(BRAND)
    assert (shown.database, shown.model) == (plain.database, plain.model)
    assert (shown.alerts, shown.web) == (plain.alerts, plain.web)


TOP = (sections.FileSection, sections.ModelConfig, sections.AlertsConfig, sections.WebConfig)
ENTRIES = (sections.BrandSection, sections.SourceSection, sections.ChannelSection)
OPTIONS = (XOptions, RedditOptions, FileOptions, AppriseOptions)


@pytest.mark.parametrize("section", [*TOP, *ENTRIES, *OPTIONS], ids=lambda section: section.__name__)
def test_every_key_is_described_in_the_documentation(section: type[BaseModel]) -> None:
    page = Path(__file__).parent.parent.joinpath("docs", "configuration.md").read_text(encoding="utf-8")
    for key in config.keys_of(section):
        assert f"`{key}`" in page, key


def test_the_template_has_a_valid_example_of_every_kind_and_the_documentation_every_key() -> None:
    text = uncommented_template()
    built_in = plugins.load(third_party=False)
    assert config.load_text(text, Path("sentimon.toml"), built_in, {}, strict=False).path
    environ = dict.fromkeys(re.findall(r'env = "([A-Z_]+)"', text), "json://localhost/long-enough-for-a-token")
    environ["PAGER_SECRET"] = "whsec_" + b64encode(bytes(32)).decode()
    full = config.load_text(text, Path("sentimon.toml"), built_in, environ)
    assert {source.kind for source in full.sources} == set(built_in.collectors)
    assert {channel.kind for channel in full.channels} == set(built_in.channels)
    page = Path(__file__).parent.parent.joinpath("docs", "configuration.md").read_text(encoding="utf-8")
    for kind in (*built_in.collectors.values(), *built_in.channels.values()):
        for key in config.keys_of(kind.options):
            assert f"`{key}`" in page, f"{kind.kind}: {key} is not in the documentation"
