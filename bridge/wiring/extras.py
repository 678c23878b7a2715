"""What a configuration needs that is not installed with HemoStat itself."""

from __future__ import annotations

import importlib.util

from bridge import errors, settings


def check_extras(config: settings.Settings) -> None:
    """Raises SettingsError: the configuration needs a package that is not installed."""
    check_ssh(config)
    check_model(config)


def check_ssh(config: settings.Settings) -> None:
    """The same, of the Docker hosts."""
    over_ssh = [index for index, host in enumerate(config.docker.hosts) if host.url.startswith("ssh://")]
    if over_ssh and importlib.util.find_spec("paramiko") is None:
        told = "ssh:// needs a package that is not installed: pip install 'hemostat[ssh]'"
        problems = [errors.Problem(f"docker.hosts[{index}].url", 0, told) for index in over_ssh]
        raise errors.SettingsError(problems)


def check_model(config: settings.Settings) -> None:
    """The same, of the model."""
    wanted = config.llm.active and config.llm.provider is settings.Provider.OPENAI
    if wanted and importlib.util.find_spec("openai") is None:
        told = "openai needs a package that is not installed: pip install 'hemostat[openai]'"
        raise errors.SettingsError([errors.Problem("llm.provider", 0, told)])
