"""The review desk: the queue, the case, what is done to them, and the rules and saved replies of the team."""

from fastapi import FastAPI

from monitor.outbox import make_outbox
from monitor.web.desk import acts, case, live, queue, rules, several, snippets, views
from monitor.web.site import Site


def mount(app: FastAPI, site: Site) -> None:
    """Add everything below /desk."""
    outbox = make_outbox(site.config)
    queue.mount(app, site)
    case.mount(app, site, outbox)
    acts.mount(app, site, outbox)
    several.mount(app, site)
    views.mount(app, site)
    rules.mount(app, site)
    snippets.mount(app, site)
    live.mount(app, site)
