"""From the configuration to what answers posts."""

from decimal import Decimal

from db.errors import ConfigError, InputError
from jobs.replier import Outbox, Route
from monitor.config import Config


def make_outbox(config: Config) -> Outbox:
    """Make what answers for each source that says `replies = true`; no platform is contacted."""
    routes = []
    total = config.monthly_budget
    for source in config.sources:
        try:
            replier = source.collector_kind.replier(source.options, config.brands)
        except InputError as error:
            raise ConfigError(f"{config.path.name}: sources.{source.name}: {error}") from error
        if replier is not None:
            budget = getattr(source.options, "monthly_budget", None)
            routes.append(Route(source.name, replier, None if budget is None else Decimal(budget), total))
    return Outbox(routes, config.desk.approval, config.web.url)
