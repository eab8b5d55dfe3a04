"""The pages for those who ask how people feel: overview, journey, experience, comparison, and what is taken away."""

from fastapi import FastAPI

from monitor.web.site import Site
from monitor.web.trends import compare, downloads, experience, journey, overview
from monitor.web.trends.filters import install


def mount(app: FastAPI, site: Site) -> None:
    """Add the pages of trends."""
    install(site)
    for part in (overview, journey, experience, compare, downloads):
        part.mount(app, site)
