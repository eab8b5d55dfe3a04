"""The questions that people answer about a post, as the command and the page ask them."""

from collections.abc import Mapping

from db.labels import LABELS

NOTHING = ("none", "no")  # what 0 stands for

# In short what the label guide says (docs/labels.md).
MEANINGS: Mapping[str, Mapping[str, str]] = {
    "sentiment": {
        "negative": "complaint, anger, sarcasm at its cost, an unresolved problem",
        "neutral": "news, plain facts, questions, feelings about something else",
        "positive": "praise, thanks, delight, desire to have it",
    },
    "stage": {
        "awareness": "has met the brand: news, an ad, a rumour",
        "discovery": "is curious: asks, compares",
        "attraction": "wants or prefers it, before having it",
        "interaction": "moves towards buying, visits, signs up",
        "purchase": "orders, pays, waits for delivery",
        "use": "has it and tells how it goes",
        "cultivation": "after the sale: refund, warranty, renewal, leaving",
        "advocacy": "speaks to others to win them over or warn them off",
        "none": "shows no place in the journey",
    },
    "reply": {"no": "needs no answer", "yes": "somebody should answer"},
    "pillar": {
        "people": "staff and how they behave",
        "process": "how things are done",
        "product": "what is sold",
        "none": "none of these",
    },
    "touchpoint": {
        "advertising": "ads and campaigns",
        "email": "mail and newsletters",
        "digital": "website, app, account",
        "social": "its social media",
        "store": "shop, branch, event",
        "contact_centre": "phone, chat, support",
        "product": "the product itself",
        "none": "none of these",
    },
}


def codes(question: str) -> dict[str, str]:
    """Number the answers to a question: 0 is none or no, the others count from 1."""
    others = [one for one in LABELS[question] if one not in NOTHING]
    nothing = [one for one in LABELS[question] if one in NOTHING]
    return {str(number): one for number, one in enumerate(others, 1)} | dict(zip("0", nothing, strict=False))
