"""Settings as a command sees them: the file, the environment, and its flags on top."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import replace

from bridge import errors, logs, settings


def settings_of(options: argparse.Namespace) -> settings.Settings:
    """Raises SettingsError: with every problem."""
    return loader_of(options)()


def loader_of(options: argparse.Namespace) -> Callable[[], settings.Settings]:
    """Reads the same file again, the same flags on top, as a reload must."""

    def load() -> settings.Settings:
        return _flagged(settings.load(options.config_file, environ=os.environ), options)

    return load


def log_as_told(options: argparse.Namespace) -> None:
    """For a command that asks once: errors alone, since its answer is what counts, unless its flags say otherwise."""
    logs.set_up(level=options.log_level or "error", style=options.log_format or "text")


def _flagged(config: settings.Settings, options: argparse.Namespace) -> settings.Settings:
    if address := getattr(options, "listen_address", None):
        try:
            settings.parse_listen_address(address)
        except ValueError as error:
            raise errors.SettingsError([errors.Problem("--web.listen-address", 0, str(error))]) from error
        config = replace(config, web=replace(config.web, listen_address=address))
    if options.storage_path:
        config = replace(config, store=replace(config.store, path=options.storage_path.absolute()))
    if options.log_level:
        config = replace(config, log=replace(config.log, level=settings.LogLevel(options.log_level)))
    if options.log_format:
        config = replace(config, log=replace(config.log, format=settings.LogFormat(options.log_format)))
    return config
