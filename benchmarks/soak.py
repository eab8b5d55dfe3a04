"""Two hundred hours of sentimon against counterfeit platforms, with every fault that they know: `make soak`.

Time is simulated and everything is drawn from the seed. In steps of 5 to 15 minutes people post, edit and delete on
eight platforms, also while these are listened to, and a shop brings posts to a webhook. Faults are ordered, and a
process does what `sentimon run` would do but score; in a share of the steps it is killed. Then all is mended, a day
and a half passes, and what is stored is held against what the servers hold.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

from benchmarks.soak_budget import Proof, prove
from benchmarks.soak_check import Findings, check
from benchmarks.soak_faults import Weather
from benchmarks.soak_platforms import PULLED, Platform, X
from benchmarks.soak_webhook import Webhook
from benchmarks.soak_worker import Order, Report, Worker
from benchmarks.soak_world import World
from db.store import Store
from monitor.cli.output import print_table

BEGINS = datetime(2026, 11, 24, 12, tzinfo=UTC)  # so that the month changes on the way
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
PLATFORMS: tuple[type[Platform], ...] = (*PULLED, Webhook)
KILLED = 0.15  # of all steps
SETTLING = 36 * HOUR  # at the end
RECHECKED = 30 * HOUR  # until every post was asked about once more
PRICES = {"post": Decimal("0.005"), "owned": Decimal("0.001"), "user": Decimal("0.010"), "count": Decimal("0.005")}
BRANDS = """
database = "soak.db"
[[brands]]
name = "Acme"
query = "(acme OR @acmecare) NOT giveaway"
accounts = { x = "acmecare" }
[[brands]]
name = "Globex"
query = "globex"
[web]
port = 0
"""


@dataclass
class Result:
    """What a soak ended with."""

    findings: list[Findings]
    served: dict[str, Counter[str]]
    unmet: dict[str, list[str]]  # faults that no request met
    steps: int
    kills: int
    asking: int  # of the kills, those in the middle of a request of the shop
    seconds: float
    money: list[tuple[str, Decimal, Decimal, Decimal]] = field(default_factory=list)  # month, cap, X's meter, ours

    @property
    def wrong(self) -> bool:
        """Whether there is anything that nothing explains."""
        return any(found.wrong for found in self.findings) or any(
            not metered <= ours <= cap for _, cap, metered, ours in self.money
        )


@dataclass
class Ledger:
    """What X's own meter says of each month."""

    x: X
    path: Path
    cap: str = ""
    month: str = ""
    lines: list[tuple[str, Decimal, Decimal, Decimal]] = field(default_factory=list)
    _before: Decimal = Decimal(0)

    def raise_cap(self) -> str:
        """Somebody pays for more."""
        self.cap = "1000"
        return self.cap

    def note(self, now: datetime) -> None:
        """Close the month when it is over."""
        month = now.strftime("%Y-%m")
        if self.month and self.month != month:
            billed = sum((self.x.server.bill[kind] * price for kind, price in PRICES.items()), Decimal(0))
            with Store(self.path) as store:
                ours = store.sources.spent("x", self.month)
            self.lines.append((self.month, Decimal(self.cap or self.x.budget), billed - self._before, ours))
            self._before = billed
        self.month = month


@dataclass
class Person:
    """Somebody who looks after a few hours whether a source waits for them, or for more than a day."""

    rng: Random
    since: dict[str, datetime] = field(default_factory=dict)

    def resumes(self, now: datetime) -> list[str]:
        """Name the sources that are to go on."""
        names = [name for name, at in self.since.items() if now >= at]
        for name in names:
            del self.since[name]
        return names

    def sees(self, report: Report, now: datetime) -> None:
        """Notice what waits."""
        for state in report.states:
            if state.paused or (state.not_before and state.not_before > now + 24 * HOUR):
                self.since.setdefault(state.name, now + self.rng.uniform(1, 5) * HOUR)


def soak(hours: float, seed: int, folder: Path, settling: timedelta = SETTLING) -> Result:
    """Simulate so many hours."""
    started, now, rng = time.perf_counter(), BEGINS, Random(f"{seed}")
    with ExitStack() as stack:
        platforms = [made(now, Random(f"{seed}:{made.name}")) for made in PLATFORMS]
        for platform in platforms:
            platform.vary(rng)
            platform.open(stack)
        weather = [
            Weather(platform, Random(f"{seed}:weather:{platform.name}"), BEGINS + rng.random() * hours * HOUR)
            for platform in platforms
        ]
        world, person = World(platforms, now, now + hours * HOUR), Person(rng)
        worker = stack.enter_context(Worker(config_of(platforms), folder))
        read_at: dict[str, list[datetime]] = {platform.name: [] for platform in platforms}
        money = Ledger(next(each for each in platforms if isinstance(each, X)), folder / "soak.db")
        steps = 0
        while now < BEGINS + hours * HOUR + settling:
            settled = now >= world.ends
            resumed = person.resumes(now)
            if settled and not money.cap:
                for each in weather:
                    each.clear()
                worker.configure(config_of(platforms, money.raise_cap()))
                resumed = [platform.name for platform in platforms]
            now += (20 if settled else rng.uniform(5, 15)) * MINUTE
            world.advance(now)
            money.note(now)
            dies_at = int(10 ** rng.uniform(0, 2.8)) if rng.random() < KILLED else None
            if not settled:
                for each in weather:
                    each.order(now)
            for platform in platforms:
                if isinstance(platform, Webhook):
                    platform.bring(worker, may_die=not settled)
            worker.send(Order(now, resume=resumed, dies_at=None if settled else dies_at))
            report = worker.report()
            if not settled:
                for each in weather:
                    each.count()
            if report is not None:
                person.sees(report, now)
                for run in report.runs:
                    if run.job == "collect" and run.source and not run.error and not run.note:
                        read_at[run.source].append(now)
            steps += 1
        money.note(now + 40 * 24 * HOUR)
        findings = [
            check(each, folder / "soak.db", read_at[each.name], (BEGINS, now), settling >= RECHECKED)
            for each in platforms
        ]
        served = {each.platform.name: each.served for each in weather}
        unmet = {each.platform.name: each.unmet() for each in weather}
        asking = sum(each.deaths for each in platforms if isinstance(each, Webhook))
        seconds = time.perf_counter() - started
        return Result(findings, served, unmet, steps, worker.kills, asking, seconds, money.lines)


def config_of(platforms: Sequence[Platform], budget: str | None = None) -> str:
    """Write sentimon.toml."""
    entries = []
    for platform in platforms:
        options = platform.options()
        if budget and isinstance(platform, X):
            options = options.replace(f"monthly_budget = {platform.budget}", f"monthly_budget = {budget}")
        entries.append(f'[[sources]]\nkind = "{platform.name}"\nevery = "{platform.every}"\n{options}\n')
    return BRANDS + "\n".join(entries)


def show(result: Result) -> None:
    """Print what came of it."""
    head = ["source", "on the server", "stored", "missing, told", "missing, untold", "doubled", "told needlessly"]
    head += ["complete", "partial", "missing", "faults"]
    rows = [
        [
            found.name,
            found.held,
            found.stored,
            sum(found.explained.values()),
            sum(map(len, found.wrong.values())) - len(found.doubled),
            len(found.doubled),
            found.idle,
            *(found.hours[state] for state in ("complete", "partial", "missing")),
            sum(result.served[found.name].values()),
        ]
        for found in result.findings
    ]
    title = f"{result.steps} steps, {result.kills} kills, {result.asking} of them in a request, {result.seconds:.0f} s"
    print_table(title, head, rows, right=head[1:])
    for found in result.findings:
        served = ", ".join(f"{kind} {count}" for kind, count in result.served[found.name].most_common())
        print(f"{found.name}: faults served: {served}")
        if unmet := result.unmet[found.name]:
            print(f"{found.name}: faults that were not met: {', '.join(unmet)}")
        if found.explained:
            print(f"{found.name}: told by coverage: {', '.join(f'{w} {n}' for w, n in found.explained.items())}")
        for what, posts in found.wrong.items():
            print(f"{found.name}: {what.upper()}, unexplained: {len(posts)}", *posts[:5], sep="\n    ")
    for month, cap, metered, ours in result.money:
        print(f"x in {month}: cap ${cap}, X's own meter ${metered}, ours ${ours}")


def show_proof(proof: Proof) -> None:
    """Print what the random runs spent."""
    rows = [
        [
            month.name,
            month.prices["post"],
            month.cap,
            month.metered,
            month.ours,
            "PASSED" if month in proof.wrong else "",
        ]
        for month in proof.months
    ]
    title = f"{proof.runs} runs against a budget, {proof.together} of them two at once, {proof.kills} killed, "
    title += f"{proof.restarts} after a restart; {proof.seconds:.0f} s"
    print_table(title, ["month", "a post", "cap", "X's own meter", "ours", ""], rows, right=["a post", "cap", "ours"])


def main() -> None:
    """Run it and end with 1 where anything is unexplained."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1_000, help="against a budget")
    parser.add_argument("--folder", type=Path, help="where the database and the log stay; else they are removed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        proof = prove(given.runs, given.seed, folder)
        show_proof(proof)
        result = soak(given.hours, given.seed, folder)
        show(result)
    sys.exit(1 if result.wrong or proof.wrong else 0)


if __name__ == "__main__":
    main()
