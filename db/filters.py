"""Which posts a question is about."""

from dataclasses import dataclass
from datetime import datetime

from db.times import to_text


@dataclass(frozen=True, slots=True)
class Filter:
    """Posts by time of posting (since inclusive, until exclusive), brand, source and stage; empty means all."""

    since: datetime | None = None
    until: datetime | None = None
    brands: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    sentiments: tuple[str, ...] = ()

    def where(self, time: str, *, table: str = "", sentiment: bool = True) -> tuple[str, list[object]]:
        """Write the SQL condition and its parameters, `time` being the column that holds the time of posting."""
        clauses = ["1 = 1"]
        values: list[object] = []
        if self.since:
            clauses.append(f"{table}{time} >= ?")
            values.append(to_text(self.since))
        if self.until:
            clauses.append(f"{table}{time} < ?")
            values.append(to_text(self.until))
        chosen = [("brand", self.brands), ("source", self.sources), ("stage", self.stages)]
        if sentiment:
            chosen.append(("sentiment", self.sentiments))
        for column, names in chosen:
            if names:
                clauses.append(f"{table}{column} IN ({', '.join('?' * len(names))})")
                values.extend(names)
        return " AND ".join(clauses), values
