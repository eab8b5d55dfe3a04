"""Whether X's monthly budget holds, by the fake's own meter: two processes at once, kills, restarts, random prices.

Each month has prices and a cap of its own. A run reads, looks posts up again and reads the past. What it is told to
wait for is waived at once, so that it presses on against a budget that is used up.
"""

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

from benchmarks.soak_worker import Order, Worker
from db.store import Store
from tests.fake_x import FakeX

BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
MONTHS = 12
RUNS = 40  # a month
FAULTS = ("ok", "ok", "cut", "drop", "slow", "503", "429-bare", "html200", "partial")


@dataclass
class Month:
    """What was spent in one month."""

    name: str
    cap: Decimal
    prices: dict[str, Decimal]
    metered: Decimal = Decimal(0)  # by the fake
    ours: Decimal = Decimal(0)


@dataclass
class Proof:
    """What the runs ended with."""

    months: list[Month] = field(default_factory=list)
    runs: int = 0
    together: int = 0  # of two processes at once
    kills: int = 0
    restarts: int = 0
    seconds: float = 0

    @property
    def wrong(self) -> list[Month]:
        """Months in which more was spent than allowed, or than we knew."""
        return [month for month in self.months if not month.metered <= month.ours <= month.cap]


def prove(runs: int, seed: int, folder: Path) -> Proof:
    """Make so many runs."""
    rng, proof, started = Random(f"{seed}:budget"), Proof(), time.perf_counter()
    clock = [BEGINS]
    with ExitStack() as stack:
        fake = stack.enter_context(FakeX(now=lambda: clock[0], accounts={"acmecare": "77"}, slow=1, limit=10**6))
        workers = [stack.enter_context(Worker("", folder)) for _ in range(2)]
        while proof.runs < runs:
            clock[0] = _month(len(proof.months))
            month = _drawn(rng, clock[0])
            proof.months.append(month)
            for worker in workers:
                worker.configure(_config(fake, month))
            for _ in range(min(RUNS, runs - proof.runs)):
                clock[0] += timedelta(minutes=rng.randint(2, 600))
                _turn(rng, fake, workers, month, clock[0], proof)
                with Store(folder / "budget.db") as store:
                    month.ours = store.sources.spent("x", month.name)
                if proof.runs >= runs:
                    break
        proof.seconds = time.perf_counter() - started
        proof.kills = sum(worker.kills for worker in workers)
    return proof


def _turn(rng: Random, fake: FakeX, workers: list[Worker], month: Month, now: datetime, proof: Proof) -> None:
    """One run, or two at once."""
    for _ in range(rng.choice((0, 3, 20, 120))):
        ends = rng.choice(("", " @acmecare"))
        fake.add(f"acme {rng.random()}{ends}", now - timedelta(seconds=rng.randint(40, 90)))
    fake.silence()
    for _ in range(rng.choice((0, 2, 8))):
        fake.air(f"acme {rng.random()}")
    fake._faults[None][:] = [rng.choice(FAULTS) for _ in range(rng.choice((0, 0, 2, 6)))]
    before = dict(fake.bill)
    chosen = workers if rng.random() < 0.4 else [rng.choice(workers)]
    for worker in chosen:
        if rng.random() < 0.1:
            worker.end()
            proof.restarts += 1
        anew = rng.random() < 0.3
        proof.restarts += anew
        dies_at = rng.randint(1, 120) if rng.random() < 0.3 else None
        jobs = ("collect", "backfill", "recheck")
        worker.send(Order(now, jobs=jobs, resume=["x"], dies_at=dies_at, anew=anew))
    for worker in chosen:
        worker.report()
    proof.runs += len(chosen)
    proof.together += len(chosen) if len(chosen) > 1 else 0
    month.metered += sum((fake.bill[kind] - before.get(kind, 0)) * price for kind, price in month.prices.items())


def _month(number: int) -> datetime:
    return datetime(BEGINS.year + number // MONTHS, number % MONTHS + 1, 2, tzinfo=UTC)


def _drawn(rng: Random, now: datetime) -> Month:
    post = Decimal(rng.randint(1, 30_000)).scaleb(-rng.choice((4, 5, 6, 7)))
    prices = {"post": post, "owned": post / 5, "user": post * 2, "count": post}
    cap = (post * rng.randint(10, 3_000) + Decimal(rng.randint(0, 99)).scaleb(-6)).quantize(Decimal("0.000001"))
    return Month(now.strftime("%Y-%m"), cap, prices)


def _config(fake: FakeX, month: Month) -> str:
    names = {"post": "price_per_post", "owned": "price_per_owned_post"}
    names |= {"user": "price_per_user", "count": "price_per_count"}
    prices = "\n".join(f'{names[kind]} = "{price:f}"' for kind, price in month.prices.items())
    return f"""
database = "budget.db"
[[brands]]
name = "Acme"
query = "acme"
accounts = {{ x = "acmecare" }}
[[sources]]
kind = "x"
every = "1m"
api_url = "{fake.url}"
bearer_token = "test-token"
compliance = "lookup"
look_first = true
timeout = 0.5
stream = true
listen = 0.5
monthly_budget = "{month.cap:f}"
{prices}
"""
