"""From the channels of the configuration to what the notify job sends through."""

import hashlib
from collections.abc import Mapping

from pydantic import BaseModel, SecretStr

from db.errors import ConfigError, InputError
from jobs.outlet import Outlet
from monitor.config import ChannelConfig, Config


def make_outlets(config: Config) -> Mapping[str, Outlet]:
    """Make every channel; nothing is sent yet. ConfigError where one cannot be made."""
    return {channel.name: _make(config, channel) for channel in config.channels}


def make_outlet(config: Config, name: str) -> Outlet:
    """Make one channel; InputError where there is none of this name, or a secret is missing."""
    found = {channel.name: channel for channel in config.channels}
    if name not in found:
        raise InputError(f"no channel {name!r}; there are: {', '.join(found) or 'none'}")
    return _make(config, found[name])


def _make(config: Config, channel: ChannelConfig) -> Outlet:
    if channel.missing:
        raise ConfigError(f"{config.path.name}: channels.{channel.name}: missing {'; '.join(channel.missing)}")
    try:
        made = channel.channel_kind.build(channel.options)
    except InputError as error:
        raise ConfigError(f"{config.path.name}: channels.{channel.name}.{error}") from error
    pictures = getattr(made, "pictures", False) is True  # a plugin need not say
    return Outlet(made, channel.policy, fingerprint(channel.options), channel.digest, pictures)


def fingerprint(options: BaseModel | None, more: Mapping[str, str] | None = None) -> str:
    """Tell whether options have changed, secrets included, without keeping any."""
    values = [] if options is None else sorted((name, getattr(options, name)) for name in type(options).model_fields)
    shown = [(n, v.get_secret_value() if isinstance(v, SecretStr) else str(v)) for n, v in values]
    shown += (more or {}).items()
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]
