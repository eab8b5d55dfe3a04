"""Which posts are judged, and what language they are said to be in."""

import time

import pytest

from db.errors import InputError
from models.language import COMMON, detect, hint_code, is_rated, known

ENGLISH_POSTS = [
    "terrible",
    "not bad",
    "Where can I buy this?",
    "lol same",
    "TERRIBLE SERVICE",
    "sooo gooood",
    "nope",
    "lit af",
    "IKEA",
    "Ronaldo",
    "WHY IS IT DOWN AGAIN",
    "im not feeling the love!!",
    "@user @other Nope :(",
    "lets go @spotify #win",
    "𝓲 𝓵𝓸𝓿𝓮 𝓽𝓱𝓲𝓼 𝓹𝓱𝓸𝓷𝓮",
    "I &lt;3 my new phone",
    "Love my new iPhone, gracias @apple",
    "this phone is muy caro lol",
]
FOREIGN_POSTS = [
    ("es", "El nuevo teléfono se calienta demasiado cuando lo cargo"),
    ("es", "mi internet no funciona desde ayer por la noche"),
    ("de", "Weiß jemand wann der Laden morgen aufmacht?"),
    ("de", "ich will das iphone kaufen aber es ist zu teuer"),
    ("fr", "La nouvelle mise à jour rend mon téléphone très lent"),
    ("fr", "je veux acheter un iphone mais c'est trop cher"),
    ("pt", "minha internet não funciona desde ontem à noite"),
    ("it", "voglio comprare un iphone ma costa troppo"),
    ("nl", "Waarom is mijn pakketje nog steeds niet aangekomen"),
    ("tr", "iphone almak istiyorum ama çok pahalı"),
    ("id", "Ada yang tahu kapan tokonya buka besok?"),
    ("ja", "昨日からインターネットが使えません"),
    ("ko", "어제부터 인터넷이 안 돼요"),
    ("ar", "الانترنت لا يعمل منذ مساء أمس"),
    ("ru", "интернет не работает со вчерашнего вечера"),
    ("zh", "新手机充电的时候太热了"),
]


@pytest.mark.parametrize("text", ENGLISH_POSTS)
def test_an_english_post_is_rated_however_short(text: str) -> None:
    rated, language = is_rated(text)
    assert rated
    assert language in ("en", None)


@pytest.mark.parametrize(("language", "text"), FOREIGN_POSTS)
def test_a_post_in_another_language_is_not_rated_and_its_language_is_named(language: str, text: str) -> None:
    assert is_rated(text) == (False, language)
    assert detect(text) == language


@pytest.mark.parametrize(("language", "text"), FOREIGN_POSTS)
def test_a_platform_that_wrongly_says_english_does_not_get_a_foreign_post_rated(language: str, text: str) -> None:
    assert is_rated(text, hint="en") == (False, language)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "\u200b\u200d",
        "https://example.com/x www.example.com",
        "@foo @bar.baz",
        "RT @foo: http://x.y",
        "...",
        "#",
    ],
)
def test_a_post_without_anything_to_judge_is_not_rated(text: str) -> None:
    assert is_rated(text) == (False, None)


@pytest.mark.parametrize("text", ["😀😀😀", "❤️🔥", "👍🏽", "🇺🇸", ":)", "<3", "@acme :-(", "10/10", "#fail", "a"])
def test_emoji_emoticons_numbers_and_hashtags_are_rated_and_have_no_language(text: str) -> None:
    assert is_rated(text) == (True, None)


def test_one_word_in_another_script_is_enough_to_tell() -> None:
    assert is_rated("ありがとう") == (False, "ja")
    assert is_rated("спасибо")[0] is False


def test_too_few_words_tell_no_language() -> None:
    assert detect("nope") is None
    assert detect("😀 https://example.com @someone #hashtag") is None


def test_links_handles_and_hashtags_do_not_decide_the_language() -> None:
    text = "@ElPaisDeLosNinos the update broke my phone again #telefonos #muycaro https://ejemplo.example/la-casa"
    assert is_rated(text) == (True, "en")


def test_the_platform_decides_where_the_text_leaves_it_open() -> None:
    text = "Gracias por tu ayuda"
    assert is_rated("piñata party tonight")[0]
    assert is_rated(text, hint="es") == (False, "es")
    assert is_rated("ok", hint="en") == (True, "en")


def test_a_clearly_english_post_is_rated_though_the_platform_says_otherwise() -> None:
    assert is_rated("The new update makes my phone so slow, I want the old one back", hint="es") == (True, "en")


def test_other_languages_can_be_asked_for() -> None:
    spanish = "El nuevo teléfono se calienta demasiado cuando lo cargo"
    assert is_rated(spanish, frozenset({"en", "es"})) == (True, "es")
    assert is_rated("The new update makes my phone so slow", frozenset({"es"})) == (False, "en")
    assert is_rated(spanish, None) == (True, "es")
    assert is_rated("https://example.com", None) == (False, None)


def test_a_language_outside_the_common_ones_can_be_asked_for() -> None:
    assert "is" not in COMMON
    assert is_rated("Nýi síminn minn hitnar allt of mikið þegar ég hleð hann", frozenset({"is"})) == (True, "is")


def test_platform_tags_are_brought_to_two_letters() -> None:
    tags = ["en-GB", "in", "iw", "nb", "zh_TW", "und", "qme", "", None]
    assert [hint_code(tag) for tag in tags] == ["en", "id", "he", "no", "zh", None, None, None, None]


def test_an_unknown_language_is_an_error_that_names_it() -> None:
    assert known({"EN", "de"}) == {"en", "de"}
    with pytest.raises(InputError, match="klingon"):
        known({"en", "klingon"})
    with pytest.raises(InputError, match="no language"):
        known(set())


@pytest.mark.parametrize(
    "text", ["a" * 10_000, "🔥 " * 5_000, "@" * 10_000, ":" * 10_000, "http" * 2_500, "\ud83d" * 100]
)
def test_no_text_fails_or_takes_long(text: str) -> None:
    is_rated("warm up")
    started = time.perf_counter()
    is_rated(text)
    assert time.perf_counter() - started < 0.5
