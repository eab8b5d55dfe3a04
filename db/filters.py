"""Which posts a question is about."""

from dataclasses import dataclass
from datetime import UTC, datetime

from db.times import to_text

# All posts lie between these. What is asked beyond them is asked from here: the calendar of Python ends soon after.
POSTING = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Filter:
    """Posts by time of posting (since inclusive, until exclusive), brand, source and labels; empty means all.

    Posts that a person found not to be about the brand are left out, unless `only_about` is false.
    """

    since: datetime | None = None
    until: datetime | None = None
    brands: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    sentiments: tuple[str, ...] = ()
    replies: tuple[str, ...] = ()
    pillars: tuple[str, ...] = ()
    touchpoints: tuple[str, ...] = ()
    only_about: bool = True

    def where(self, time: str, *, table: str = "", counted: bool = False) -> tuple[str, list[object]]:
        """Write the SQL condition and its parameters, `time` being the column that holds the time of posting.

        `counted` is for a table of counts, which has brand, source and stage and leaves out what is not to be counted.
        """
        clauses = ["1 = 1"]
        values: list[object] = []
        if self.since:
            clauses.append(f"{table}{time} >= ?")
            values.append(to_text(self.since))
        if self.until:
            clauses.append(f"{table}{time} < ?")
            values.append(to_text(self.until))
        chosen = [("brand", self.brands), ("source", self.sources), ("stage", self.stages)]
        if not counted:
            chosen.append(("sentiment", self.sentiments))
            chosen.append(("reply", self.replies))
            chosen.append(("pillar", self.pillars))
            chosen.append(("touchpoint", self.touchpoints))
            if self.only_about:
                clauses.append(f"{table}about = 1")
        for column, names in chosen:
            if names:
                clauses.append(f"{table}{column} IN ({', '.join('?' * len(names))})")
                values.extend(names)
        return " AND ".join(clauses), values
