"""How things stand, for the command line, the status page and its JSON twin."""

from collections.abc import Mapping
from datetime import datetime
from shlex import quote
from typing import Any

from db.desk import User, visible
from db.store import Store
from db.times import to_text, to_text_or_none
from jobs.hold import stories
from jobs.schedule import describe, last_reads
from monitor.config import Config
from monitor.words import counted

GAPS_SHOWN = 10
PIPELINE = (
    "collect",
    "backfill",
    "group",
    "score",
    "watch",
    "triage",
    "survey",
    "stale",
    "embed",
    "notify",
    "reply",
    "recheck",
    "prune",
)


def take_status(config: Config, store: Store, now: datetime, user: User | None = None) -> dict[str, Any]:
    """Gather sources, jobs, backlog, gaps and open alerts as plain values; posts as far as somebody may see them."""
    brands = visible(user, ()) if user else ()
    posts, matches = store.mentions.counts(brands)
    runs = sorted(store.runs.latest(), key=lambda run: (PIPELINE.index(run.job), run.source or ""))
    last = {(run.job, run.source): run for run in runs}
    reads = last_reads(store)
    states = {state.name: state for state in store.sources.states()}
    month = now.strftime("%Y-%m")
    sources = []
    for source in config.sources:
        state, run, read_at = states.get(source.name), last.get(("collect", source.name)), reads.get(source.name)
        due = read_at + source.every if read_at else now
        error = run.error if run else state and state.last_error
        if state and state.not_before:
            due = max(due, state.not_before)
        paused = state.paused if state else None
        pushed = source.collector_kind.pushed
        spent = store.sources.spent(source.name, month)
        sources.append(
            {
                "name": source.name,
                "kind": source.kind,
                "last_run": to_text_or_none(read_at),
                "last_ok": to_text_or_none(state.last_ok_at if state else None),
                "last_error": f"not configured: {'; '.join(source.missing)}" if source.missing else error,
                "paused": paused,
                "next_run": None if paused or source.missing or pushed else to_text(max(due, now)),
                "spent_this_month": str(spent),
            }
        )
    return {
        "time": to_text(now),
        "database": str(config.database),
        "model": _model(config, store),
        "posts": posts,
        "matches": matches,
        "posts_by_source": dict(store.mentions.counts_by_source(brands)),
        "waiting_for_score": store.mentions.pending_count(brands),
        "waiting_for_answer": store.cases.count(brands),
        "open_alerts": [
            alert.summary for alert in stories(store.alerts.open()) if user is None or user.sees(alert.brand)
        ],
        "sources": sources,
        "jobs": [
            {
                "job": run.job,
                "source": run.source,
                "started": to_text(run.started_at),
                "seconds": run.seconds,
                "counts": dict(run.counts),
                "error": run.error,
                "line": describe(run),
            }
            for run in runs
        ],
        "gaps": [
            {
                "source": gap.source,
                "stream": gap.stream,
                "since": to_text_or_none(gap.since),
                "until": to_text_or_none(gap.until),
                "state": gap.state,
                "reason": gap.reason,
            }
            for gap in store.sources.gaps(GAPS_SHOWN)
        ],
        "disabled": not_working(store),
        "undelivered": [
            {"channel": delivery.channel, "state": delivery.state, "error": delivery.error}
            for delivery in store.deliveries.troubled()
        ],
    }


def not_working(store: Store) -> list[dict[str, Any]]:
    """Name the channels that do not work, since when and why; pages and commands say so until that is mended."""
    return [
        {"name": found.channel, "since": to_text(found.at), "reason": found.reason}
        for found, _ in store.deliveries.disabled()
    ]


def status_lines(status: Mapping[str, Any]) -> list[str]:
    """Write it for people."""
    lines = [
        f"{counted(status['posts'], 'post')} stored, {status['waiting_for_score']} wait for a score, "
        f"{status['waiting_for_answer']} for an answer; times are UTC",
        f"Judged by the model {status['model']}",
        "",
        "Sources",
    ]
    lines += [_source_line(source) for source in status["sources"]] or [
        "  none configured: `sentimon import` takes files"
    ]
    lines += ["", "Last runs"] + ([f"  {job['started']}  {job['line']}" for job in status["jobs"]] or ["  none yet"])
    if status["disabled"]:
        lines += ["", "Channels that do not work"]
        lines += [
            f"  {channel['name']}, since {channel['since']}: {channel['reason']}; mend its settings, or "
            f"`sentimon resume {quote(channel['name'])}`"
            for channel in status["disabled"]
        ]
    if status["open_alerts"]:
        lines += ["", "Open alerts"] + [f"  {summary}" for summary in status["open_alerts"]]
    if status["gaps"]:
        lines += ["", "Gaps"]
        lines += [
            f"  {gap['source']} ({gap['stream']}) {gap['since'] or 'start'} to {gap['until']}: "
            f"{gap['state']}, {gap['reason']}"
            for gap in status["gaps"]
        ]
    if status["undelivered"]:
        lines += ["", "Not delivered"]
        lines += [
            f"  {delivery['channel']}: {delivery['state']}, {delivery['error']}" for delivery in status["undelivered"]
        ]
    return lines


def _model(config: Config, store: Store) -> str:
    """Name the model in force: one that was trained here, or that of the configuration."""
    trained = store.models.in_force() if config.model.name == "bundled" else None
    return trained.name if trained else config.model.name


def _source_line(source: Mapping[str, Any]) -> str:
    state = f"PAUSED: {source['paused']}" if source["paused"] else source["last_error"] or "ok"
    if not source["last_run"] and state == "ok":
        state = "not read yet"
    spent = f", spent {source['spent_this_month']} this month" if float(source["spent_this_month"]) else ""
    coming = source["next_run"] or (f"after `sentimon resume {source['name']}`" if source["paused"] else "never")
    read = source["last_ok"] or "never"
    return f"  {source['name']} ({source['kind']}): {state}; last read {read}, next {coming}{spent}"
