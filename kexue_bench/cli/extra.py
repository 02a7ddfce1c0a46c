"""Verbs that plugins add with `kexue_commands`: modules with `configure` and `execute`, like those of the core."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterable, Sequence
from types import ModuleType

from ..catalog.plugins import load_plugins
from ..catalog.registry import Registry
from ..errors import PluginError, UnknownNameError
from . import options


def registered(arguments: Sequence[str]) -> Registry:
    """What the installed plugins and those of `-p` register; other arguments are ignored."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_plugin_options(parser)
    found, _ = parser.parse_known_args(arguments)
    options.see_current_folder(found.plugin)
    registry = Registry(load_plugins(found.plugin))
    options.complain(registry)
    return registry


def plugin_verb(verb: str, arguments: Sequence[str], core: Iterable[str]) -> ModuleType:
    """The module of a plugin's verb.

    Raises:
        UnknownNameError: neither the core nor a plugin has the verb.
        PluginError: its module cannot be imported, or lacks one of the two functions.
    """
    registry = registered(arguments)
    if verb not in registry.commands:
        raise UnknownNameError("verb", verb, [*core, *registry.commands], hint="see `kexue-bench --help`")
    target = registry.commands[verb].target
    try:
        module = importlib.import_module(target)
    except ImportError as error:
        raise PluginError(f"the verb {verb!r} cannot be loaded: {error}") from error
    missing = [name for name in ("configure", "execute") if not callable(getattr(module, name, None))]
    if missing:
        raise PluginError(f"the verb {verb!r} needs a function {missing[0]!r} in its module", got=target)
    return module
