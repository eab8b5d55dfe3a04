"""Scoring posts with the bundled kind of model and with a Hugging Face model."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from transformers import BertModel

from db.errors import InputError
from db.labels import LABELS, SENTIMENTS, UNSURE
from db.records import Score
from models import classifier as module
from models.classifier import BUNDLED, Classifier, Post, load
from models.huggingface import map_labels
from models.precision import Precision, exact
from models.train import VERSION
from tests.tiny_model import tiny_classifier, tiny_mention_model

# How near the same post comes to itself in other company: sums of halves depend on what is computed beside them.
PRECISIONS = pytest.mark.parametrize(
    ("dtype", "near"), [(torch.float32, 2e-4), (torch.bfloat16, 2e-2)], ids=["fp32", "bf16"]
)

THREE = ["negative", "neutral", "positive"]
POSTS = [
    Post("I love my phone"),
    Post("the update is awful, i hate it " * 5, "Acme"),
    Post("where can i buy this?", "Acme"),
    Post("great"),
    Post("this phone is not good, it is bad " * 20),
]

# Texts as people and platforms send them, and whether a model for English rates them.
NASTY = {
    "nothing": ("", False),
    "spaces only": (" \n\t\u00a0 ", False),
    "emoji only": ("🔥🔥😡", True),
    "one emoji of many signs": ("👩🏽\u200d💻", True),
    "3,000 emoji": ("🔥" * 3_000, True),
    "hashtags only": ("#fail #acme #neveragain", True),
    "handles only": ("@acme @someone", False),
    "links only": ("https://example.com/a?b=c www.example.com", False),
    "handle and link": ("@acme https://example.com", False),
    "punctuation only": ("!!! ... ???", False),
    "an emoticon": (":(", True),
    "elongations": ("sooooooooo gooooooood, looooove it!!!!!!!!!", True),
    "sarcasm marked": ("oh great, another update /s", True),
    "right to left": ("مرحبا بالعالم، الهاتف الجديد سيئ جدا", False),
    "turned round": ("\u202eI hate this phone\u202c", True),
    "both directions": ("I hate this phone مرحبا and it is bad", True),
    "zero width only": ("\u200b\u200d\ufeff", False),
    "zero width among words": ("I\u200b hate\u200b this\ufeff phone \u200d", True),
    "10,000 characters": ("The delivery was late again. " * 345, True),
    "100,000 characters": ("The delivery was late again. " * 3_450, True),
    "100,000 letters in one word": ("a" * 100_000, True),
    "100,000 handles": ("@a " * 100_000, False),
    "100,000 links": ("https://example.com/ " * 100_000, False),
    "100,000 open brackets": ("(" * 100_000, False),
    "100,000 letters with accents": ("e" + "\u0301" * 100_000, True),
    "half an emoji": ("\ud83d", False),
    "half an emoji among words": ("I hate \ud83d this phone", True),
    "both halves the wrong way round": ("great \ude00\ud83d phone", True),
    "a zero byte": ("zero\x00byte in the phone", True),
    "control characters": ("\x1b[31mI hate this phone\x07", True),
    "what a tokenizer takes for its own": ("[SEP] [CLS] [PAD] is what my phone says", True),
    "entities": ("I &lt;3 my phone &amp; you", True),
    "letters in a fancy style": ("𝓘 𝓵𝓸𝓿𝓮 𝓶𝔂 𝓹𝓱𝓸𝓷𝓮", True),
}


def few_at_once(dtype: torch.dtype) -> Precision:
    return Precision(torch.device("cpu"), dtype, workers=3, tokens=256)


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


def test_a_score_answers_every_question_with_probabilities(tiny: Classifier) -> None:
    for score in tiny.score(POSTS):
        assert score.rated
        assert tuple(score.answers) == tuple(LABELS)
        for question, labels in LABELS.items():
            probabilities = score.probabilities(question)
            assert tuple(probabilities) == labels
            assert sum(probabilities.values()) == pytest.approx(1, abs=5e-4)
            assert probabilities[score.label(question) or ""] == max(probabilities.values())


def test_a_stage_below_its_floor_is_not_forced_on_the_author(folders: Path) -> None:
    # Exactly, for both: which precision is the fastest is measured at each load.
    bold = load(str(folders / "tiny"), precision=exact()).score(POSTS)
    tops = sorted(max(score.probabilities("stage").values()) for score in bold)
    assert tops[1] < tops[2]
    floor = tiny_mention_model(folders / "careful", sentimon_stage_floor=tops[2] - 1e-4)
    careful = load(str(floor), precision=exact()).score(POSTS)
    for free, score in zip(bold, careful, strict=True):
        top = max(score.probabilities("stage").values())
        assert score.label("stage") == (free.label("stage") if top >= tops[2] else UNSURE)
        assert score.probabilities("stage") == free.probabilities("stage")
        assert score.label("sentiment") == free.label("sentiment")
    assert [score.label("stage") for score in careful].count(UNSURE) == 2


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:8]


def test_a_model_is_named_after_its_folder_and_its_weights(
    folders: Path, tiny: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"tiny-{digest(folders / 'tiny')}"
    assert tiny.name == name
    assert {score.model for score in tiny.score(POSTS)} == {name}
    monkeypatch.chdir(folders / "tiny")
    assert load(".").name == name


def test_two_models_in_folders_of_one_name_have_two_names(tmp_path: Path, no_bundled: None) -> None:
    own = [tiny_mention_model(tmp_path / str(seed) / "mine", version="3", seed=seed) for seed in (1, 2)]
    other = [tiny_classifier(tmp_path / str(seed) / "theirs", THREE, seed=seed) for seed in (1, 2)]
    names = [load(str(folder)).name for folder in (*own, *other)]
    assert names == [f"{folder.name}-{digest(folder)}" for folder in (*own, *other)]
    assert len(set(names)) == 4


@pytest.mark.skipif(not (BUNDLED / "model.safetensors").is_file(), reason="models/bundled holds no weights yet")
def test_the_bundled_model_is_named_by_its_version_wherever_it_is_called_from(monkeypatch: pytest.MonkeyPatch) -> None:
    version = json.loads((BUNDLED / "config.json").read_text(encoding="utf-8"))["sentimon_version"]
    assert version == VERSION
    monkeypatch.chdir(BUNDLED.parent)
    assert load("bundled").name == load(str(BUNDLED)).name == load("./bundled").name == f"bundled-{version}"


@PRECISIONS
def test_a_post_scores_the_same_alone_and_in_any_company(dtype: torch.dtype, near: float, folders: Path) -> None:
    tiny = load(str(folders / "tiny"), precision=few_at_once(dtype))
    many = [Post(f"{post.text} {'phone ' * n}", post.brand) for n in range(20) for post in POSTS]
    together = tiny.score(many)
    backwards = tiny.score(many[::-1])[::-1]
    for post, one, other in list(zip(many, together, backwards, strict=True))[::9]:
        alone = tiny.score([post])[0]
        for score in (one, other):
            for question in LABELS:
                assert score.probabilities(question) == pytest.approx(alone.probabilities(question), abs=near)
    assert len({tuple(score.probabilities("sentiment").values()) for score in together}) > 20


def test_the_brand_matters(tiny: Classifier) -> None:
    text = "acme phone is good, not the update"
    with_brand, without = tiny.score([Post(text, "Acme"), Post(text)])
    assert with_brand.probabilities("sentiment") != without.probabilities("sentiment")


def test_a_post_that_cannot_be_judged_is_not_rated_and_keeps_its_place(tiny: Classifier) -> None:
    spanish = Post("El nuevo teléfono se calienta demasiado cuando lo cargo")
    first, second, third = tiny.score([Post("https://example.com"), Post("I love my phone"), spanish])
    assert first == Score(tiny.name, rated=False, language=None)
    assert second.rated
    assert third == Score(tiny.name, rated=False, language="es")


def test_the_platform_can_tell_the_language(tiny: Classifier) -> None:
    assert tiny.score([Post("ok", language="en-US")])[0].language == "en"


@pytest.mark.parametrize("name", NASTY)
def test_every_text_gets_an_answer_or_is_not_rated(name: str, tiny: Classifier) -> None:
    text, rated = NASTY[name]
    for brand in (None, "Acme", "\ud83dAcme" * 20):
        (score,) = tiny.score([Post(text, brand)])
        assert score.rated is rated
        assert set(score.answers) == (set(LABELS) if rated else set())


@PRECISIONS
def test_nasty_texts_do_not_touch_their_neighbours(dtype: torch.dtype, near: float, folders: Path) -> None:
    tiny = load(str(folders / "tiny"), precision=few_at_once(dtype))
    nasty = [Post(text) for text, _ in NASTY.values()]
    among = tiny.score([*nasty, POSTS[0], *nasty])
    assert [score.rated for score in among[: len(nasty)]] == [rated for _, rated in NASTY.values()]
    alone = tiny.score([POSTS[0]])[0]
    for question in LABELS:
        assert among[len(nasty)].probabilities(question) == pytest.approx(alone.probabilities(question), abs=near)


def test_no_text_makes_a_hugging_face_model_fail(folders: Path, no_bundled: None) -> None:
    scores = load(str(folders / "three")).score([Post(text, "Acme") for text, _ in NASTY.values()])
    found = {name: score.rated for name, score in zip(NASTY, scores, strict=True)}
    wanted = {name: rated for name, (_, rated) in NASTY.items()}
    assert found == wanted | {"right to left": True}  # it rates every language
    assert all(score.label("sentiment") in SENTIMENTS for score in scores if score.rated)


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
    assert stars.name == f"stars-{digest(folders / 'stars')}"
    for score in stars.score(POSTS):
        assert tuple(score.probabilities("sentiment")) == SENTIMENTS
        assert sum(score.probabilities("sentiment").values()) == pytest.approx(1, abs=2e-4)
        assert tuple(score.answers) == ("sentiment",)


def test_a_hugging_face_post_scores_the_same_alone_and_in_any_company(folders: Path, no_bundled: None) -> None:
    three = load(str(folders / "three"))
    for post, score in zip(POSTS, three.score(POSTS), strict=True):
        alone = three.score([post])[0]
        assert score.probabilities("sentiment") == pytest.approx(alone.probabilities("sentiment"), abs=2e-4)


def test_all_but_the_sentiment_comes_from_the_bundled_model(
    folders: Path, monkeypatch: pytest.MonkeyPatch, tiny: Classifier
) -> None:
    monkeypatch.setattr(module, "BUNDLED", folders / "tiny")
    both = load(str(folders / "three"))
    assert both.name == f"three-{digest(folders / 'three')}+tiny-7"
    posts = [*POSTS, Post("El nuevo teléfono se calienta demasiado cuando lo cargo"), Post("@someone")]
    scores = both.score(posts)
    bundled = tiny.score(posts)
    for question in LABELS.keys() - {"sentiment"}:
        assert [score.label(question) for score in scores] == [score.label(question) for score in bundled]
    assert [score.label("sentiment") for score in scores] != [score.label("sentiment") for score in bundled]
    assert (scores[-2].rated, tuple(scores[-2].answers), scores[-2].language) == (True, ("sentiment",), "es")
    assert not scores[-1].rated


def test_configured_labels_turn_the_sentiments_round(tmp_path: Path, no_bundled: None) -> None:
    folder = tiny_classifier(tmp_path / "own", ["LABEL_0", "LABEL_1"])
    ones = [
        load(str(folder), labels={"LABEL_0": one, "LABEL_1": other}).score(POSTS)
        for one, other in (("negative", "positive"), ("positive", "negative"))
    ]
    for score, turned in zip(*ones, strict=True):
        assert score.probabilities("sentiment")["negative"] == turned.probabilities("sentiment")["positive"]
        assert score.probabilities("sentiment")["neutral"] == 0


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
    assert [one.label("sentiment") for one in (praise, complaint, question)] == ["positive", "negative", "neutral"]
    assert bundled.name.startswith("bundled")
