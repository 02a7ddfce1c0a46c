"""Verbs that plugins add by `kexue_commands`."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from ..catalog.plugins import load_plugins
from ..catalog.registry import Registry
from ..errors import UnknownNameError


def run_plugin_command(verb: str, arguments: Sequence[str], core_verbs: Sequence[str] | dict[str, str]) -> int:
    """Run a plugin's verb.

    Raises:
        UnknownNameError: neither the core nor a plugin knows the verb.
    """
    registry = Registry(load_plugins())
    if verb not in registry.commands:
        raise UnknownNameError("verb", verb, [*core_verbs, *registry.commands], hint="see `kexue-bench --help`")
    module, _, function = registry.commands[verb].target.partition(":")
    return getattr(importlib.import_module(module), function)(list(arguments))
