"""What people say of a match: to each question the newest answer, whatever has been said of others since.

Several people's verdicts can stand on one match. This is the one place that says which of their answers count, as SQL
on the match k: labels in force, exports, training, measures and the desk all take it from here.
"""

from collections.abc import Mapping

from db.labels import GUIDE

_NEWEST = "ORDER BY given_at DESC, id DESC LIMIT 1"

# The id of the newest verdict, which says whether the post is about the brand.
NEWEST_VERDICT = f"(SELECT id FROM verdicts WHERE match_id = k.id {_NEWEST})"

# By question, the newest answer to it, and the id of the verdict that gives it.
SAID: Mapping[str, str] = {
    question: f"(SELECT {question} FROM verdicts WHERE match_id = k.id AND {question} IS NOT NULL {_NEWEST})"
    for question in GUIDE
}
SAID_BY: Mapping[str, str] = {
    question: f"(SELECT id FROM verdicts WHERE match_id = k.id AND {question} IS NOT NULL {_NEWEST})"
    for question in GUIDE
}

# Whether a model is measured by that answer: the question was answered on the post as drawn at random, corrected since
# or not. What people correct elsewhere are mostly errors, and they say so in sight of the model's answer.
DRAWN: Mapping[str, str] = {
    question: f"EXISTS (SELECT 1 FROM verdicts WHERE match_id = k.id AND random AND {question} IS NOT NULL)"
    for question in GUIDE
}
EVER_DRAWN = "EXISTS (SELECT 1 FROM verdicts WHERE match_id = k.id AND random)"
