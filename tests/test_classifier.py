"""Scoring posts with the bundled kind of model and with a Hugging Face model."""

from pathlib import Path

import pytest
from transformers import BertModel

from db.errors import InputError
from db.labels import SENTIMENTS, STAGES
from db.records import Score
from models import classifier as module
from models.classifier import BUNDLED, Classifier, Post, load
from models.huggingface import map_labels
from tests.tiny_model import tiny_classifier, tiny_mention_model

THREE = ["negative", "neutral", "positive"]
POSTS = [
    Post("I love my phone"),
    Post("the update is awful, i hate it " * 5, "Acme"),
    Post("where can i buy this?", "Acme"),
    Post("great"),
    Post("this phone is not good, it is bad " * 20),
]
HARD = [
    "",
    "   ",
    "a" * 10_000,
    "good " * 2_000,
    "🔥" * 3_000,
    "مرحبا بالعالم",
    "\u202eevil text\u202c",
    "\u200b\u200d\ufeff",
    "half an emoji \ud83d",
    "zero\x00byte",
    "https://example.com",
    "@someone",
    "[SEP] [CLS] [PAD]",
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    tiny_mention_model(root / "tiny", version="7")
    tiny_classifier(root / "stars", [f"{n} star{'s' * (n > 1)}" for n in range(1, 6)])
    tiny_classifier(root / "three", THREE)
    return root


@pytest.fixture(scope="module")
def tiny(folders: Path) -> Classifier:
    return load(str(folders / "tiny"))


@pytest.fixture
def no_bundled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "BUNDLED", tmp_path / "bundled")


def test_a_score_holds_sentiment_and_stage_with_probabilities(tiny: Classifier) -> None:
    for score in tiny.score(POSTS):
        assert score.rated
        assert tuple(score.probabilities) == SENTIMENTS
        assert tuple(score.stage_probabilities) == STAGES
        assert sum(score.probabilities.values()) == pytest.approx(1, abs=2e-4)
        assert sum(score.stage_probabilities.values()) == pytest.approx(1, abs=5e-4)
        assert score.probabilities[score.sentiment or ""] == max(score.probabilities.values())
        assert score.stage_probabilities[score.stage or ""] == max(score.stage_probabilities.values())


def test_a_model_is_named_after_its_folder_and_version(tiny: Classifier) -> None:
    assert tiny.name == "tiny-7"
    assert {score.model for score in tiny.score(POSTS)} == {"tiny-7"}


def test_a_post_scores_the_same_alone_and_in_any_company(tiny: Classifier) -> None:
    many = [Post(f"{post.text} {'phone ' * n}", post.brand) for n in range(20) for post in POSTS]
    together = tiny.score(many)
    backwards = tiny.score(many[::-1])[::-1]
    for post, one, other in list(zip(many, together, backwards, strict=True))[::9]:
        alone = tiny.score([post])[0]
        for score in (one, other):
            assert score.probabilities == pytest.approx(alone.probabilities, abs=2e-4)
            assert score.stage_probabilities == pytest.approx(alone.stage_probabilities, abs=2e-4)
    assert len({tuple(score.probabilities.values()) for score in together}) > 20


def test_the_brand_matters(tiny: Classifier) -> None:
    text = "acme phone is good, not the update"
    with_brand, without = tiny.score([Post(text, "Acme"), Post(text)])
    assert with_brand.probabilities != without.probabilities


def test_a_post_that_cannot_be_judged_is_not_rated_and_keeps_its_place(tiny: Classifier) -> None:
    spanish = Post("El nuevo teléfono se calienta demasiado cuando lo cargo")
    first, second, third = tiny.score([Post("https://example.com"), Post("I love my phone"), spanish])
    assert first == Score("tiny-7", rated=False, language=None)
    assert second.rated
    assert third == Score("tiny-7", rated=False, language="es")


def test_the_platform_can_tell_the_language(tiny: Classifier) -> None:
    assert tiny.score([Post("ok", language="en-US")])[0].language == "en"


@pytest.mark.parametrize("kind", ["tiny", "three"])
def test_no_text_makes_scoring_fail(kind: str, folders: Path, no_bundled: None) -> None:
    scores = load(str(folders / kind)).score([Post(text, "\ud83dAcme" * 20) for text in HARD])
    assert len(scores) == len(HARD)
    assert [score.rated for score in scores[:2]] == [False, False]


def test_nothing_to_score_gives_nothing(tiny: Classifier) -> None:
    assert tiny.score([]) == []


def test_languages_can_be_chosen(folders: Path) -> None:
    spanish = load(str(folders / "tiny"), languages=["es"])
    scores = spanish.score([Post("El nuevo teléfono se calienta demasiado"), Post("My new phone is not good at all")])
    assert [(score.rated, score.language) for score in scores] == [(True, "es"), (False, "en")]
    with pytest.raises(InputError, match="klingon"):
        load(str(folders / "tiny"), languages=["klingon"])


def test_weights_that_are_missing_or_broken_are_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUNDLED", tmp_path / "bundled")
    with pytest.raises(InputError, match="no model here"):
        load("bundled")
    folder = tiny_mention_model(tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"\x00" * 50)
    with pytest.raises(InputError, match="cannot be loaded") as caught:
        load(str(folder))
    assert "\n" not in str(caught.value)


def test_stars_become_sentiments_that_add_up(folders: Path, no_bundled: None) -> None:
    stars = load(str(folders / "stars"))
    assert stars.name == "stars"
    for score in stars.score(POSTS):
        assert tuple(score.probabilities) == SENTIMENTS
        assert sum(score.probabilities.values()) == pytest.approx(1, abs=2e-4)
        assert score.stage is None
        assert score.stage_probabilities == {}


def test_a_hugging_face_post_scores_the_same_alone_and_in_any_company(folders: Path, no_bundled: None) -> None:
    three = load(str(folders / "three"))
    for post, score in zip(POSTS, three.score(POSTS), strict=True):
        assert score.probabilities == pytest.approx(three.score([post])[0].probabilities, abs=2e-4)


def test_the_stage_comes_from_the_bundled_model(
    folders: Path, monkeypatch: pytest.MonkeyPatch, tiny: Classifier
) -> None:
    monkeypatch.setattr(module, "BUNDLED", folders / "tiny")
    both = load(str(folders / "three"))
    assert both.name == "three+tiny-7"
    posts = [*POSTS, Post("El nuevo teléfono se calienta demasiado cuando lo cargo"), Post("@someone")]
    scores = both.score(posts)
    assert [score.stage for score in scores] == [score.stage for score in tiny.score(posts)]
    assert (scores[-2].rated, scores[-2].stage, scores[-2].language) == (True, None, "es")
    assert not scores[-1].rated


def test_configured_labels_turn_the_sentiments_round(tmp_path: Path, no_bundled: None) -> None:
    folder = tiny_classifier(tmp_path / "own", ["LABEL_0", "LABEL_1"])
    ones = [
        load(str(folder), labels={"LABEL_0": one, "LABEL_1": other}).score(POSTS)
        for one, other in (("negative", "positive"), ("positive", "negative"))
    ]
    for score, turned in zip(*ones, strict=True):
        assert score.probabilities["negative"] == turned.probabilities["positive"]
        assert score.probabilities["neutral"] == 0


@pytest.mark.parametrize(
    ("names", "labels", "expected"),
    [
        (["LABEL_0", "LABEL_1", "LABEL_2"], {}, THREE),
        (["NEG", "NEU", "POS"], {}, THREE),
        (["Negative", "Positive"], {}, ["negative", "positive"]),
        (["Very Negative", "positive"], {}, ["negative", "positive"]),
        (["bearish", "neutral", "bullish"], {"Bearish": "negative", "bullish": "positive"}, THREE),
        (["positive", "negative"], {"positive": "negative", "negative": "positive"}, ["negative", "positive"]),
    ],
)
def test_labels_are_understood(names: list[str], labels: dict[str, str], expected: list[str]) -> None:
    assert map_labels(names, labels) == expected


@pytest.mark.parametrize(
    ("names", "labels", "message"),
    [
        (["joy", "anger"], {}, r"joy, anger .*\[model\] labels"),
        (["LABEL_0", "LABEL_1"], {}, r"\[model\] labels"),
        (["neutral", "positive"], {}, "means negative"),
        (["negative", "positive"], {"angry": "negative"}, "no label angry; it has negative, positive"),
        (["negative", "positive"], {"negative": "sad"}, r"\[model\] labels"),
    ],
)
def test_labels_that_cannot_be_understood_are_named(names: list[str], labels: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        map_labels(names, labels)


def test_a_model_for_something_else_is_refused(tmp_path: Path, no_bundled: None) -> None:
    several = tiny_classifier(tmp_path / "several", THREE, problem_type="multi_label_classification")
    with pytest.raises(InputError, match="no single label"):
        load(str(several))
    encoder = tiny_classifier(tmp_path / "encoder", THREE)
    BertModel.from_pretrained(encoder).save_pretrained(encoder)
    with pytest.raises(InputError, match="no trained classifier"):
        load(str(encoder))


def test_a_folder_without_a_model_is_an_error_of_one_line(tmp_path: Path, no_bundled: None) -> None:
    with pytest.raises(InputError, match="not a model") as caught:
        load(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_an_unknown_model_name_without_network_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch, no_bundled: None
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="nosuch/model") as caught:
        load("nosuch/model")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="not a folder"):
        load("./nosuch")


@pytest.mark.skipif(not (BUNDLED / "model.safetensors").is_file(), reason="models/bundled holds no weights yet")
def test_the_bundled_model_tells_praise_from_complaint() -> None:
    bundled = load("bundled")
    praise, complaint, question = bundled.score(
        [
            Post("I absolutely love my new Acme phone, best I ever had!", "Acme"),
            Post("Acme's update broke my phone, worst support ever, I am furious", "Acme"),
            Post("What time does the Acme store open tomorrow?", "Acme"),
        ]
    )
    assert (praise.sentiment, complaint.sentiment) == ("positive", "negative")
    assert question.sentiment == "neutral"
    assert bundled.name.startswith("bundled")
