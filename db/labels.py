"""The labels that a mention can carry, in the fixed order that every model and table uses.

What each one means is written down in docs/labels.md.
"""

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
