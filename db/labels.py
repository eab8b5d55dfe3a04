"""The labels that a mention can carry, in the fixed order that every model and table uses.

What each one means is written down in docs/labels.md.
"""

from collections.abc import Mapping

SENTIMENTS = ("negative", "neutral", "positive")
STAGES = (
    "awareness",
    "discovery",
    "attraction",
    "interaction",
    "purchase",
    "use",
    "cultivation",
    "advocacy",
    "none",
)
REPLIES = ("no", "yes")
PILLARS = ("people", "process", "product", "none")
TOUCHPOINTS = ("advertising", "email", "digital", "social", "store", "contact_centre", "product", "none")
EMOTIONS = ("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral")  # Ekman's six, and none of them
OFFENSIVE = ("no", "yes")

# Every question that the model answers, by the name of its head.
LABELS: Mapping[str, tuple[str, ...]] = {
    "sentiment": SENTIMENTS,
    "stage": STAGES,
    "reply": REPLIES,
    "pillar": PILLARS,
    "touchpoint": TOUCHPOINTS,
    "emotion": EMOTIONS,
    "offensive": OFFENSIVE,
}
GUIDE = ("sentiment", "stage", "reply", "pillar", "touchpoint")  # what the label guide defines and a person can correct

# A stage that the model holds less likely than its floor is not forced on the author; it is counted apart.
UNSURE = "unsure"
COUNTED_STAGES = (*STAGES, UNSURE)
