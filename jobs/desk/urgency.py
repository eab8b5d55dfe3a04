"""How urgent a post is that needs an answer: a scale that can be read off. docs/desk.md has it for people. Pure.

| level | what |
|---|---|
| urgent | of a critical alert; negative and carried as far as 100,000 followers carry a post |
| high | of an alert that is high; an alert of its own; negative and carried as far as 10,000 followers |
| normal | of any other alert; negative; a question or another post that asks for an answer and is no praise |
| low | praise |
"""

import math
from datetime import timedelta

from db.records import Alert, Match

LATELY = timedelta(days=7)  # older posts are history when they are found: nobody answers them
FAR, VERY_FAR = 10_000, 100_000
SINGLE = "single post"
OF_ALERT = {"critical": "urgent", "high": "high", "warning": "normal"}


def carried(match: Match) -> int:
    """How far a post carries, in followers: a repost counts as 100, a like as 10."""
    reach = match.mention.reach
    return max((reach.followers or 0) + 100 * (reach.reposts or 0) + 10 * (reach.likes or 0), 0)


def priority(match: Match) -> float:
    """Order posts of one level: how surely a post is negative, times how far it carries, by powers of ten."""
    return round((match.negative or 0.0) * (1 + math.log10(1 + carried(match))), 4)


def of_post(match: Match) -> str:
    """Return the level of a post by itself."""
    if match.sentiment == "negative":
        far = carried(match)
        return "urgent" if far >= VERY_FAR else "high" if far >= FAR else "normal"
    return "low" if match.sentiment == "positive" else "normal"


def of_alert(alert: Alert) -> str:
    """Return the level that the posts of an alert have at least."""
    level = OF_ALERT.get(alert.severity, "normal")
    return "high" if alert.rule == SINGLE and level == "normal" else level
