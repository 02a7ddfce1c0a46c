"""hookspecs: the hooks that a plugin may implement, as pluggy sees them."""

from __future__ import annotations

import re

import pluggy
import pytest

from kexue_bench.catalog import hookspecs

HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("kexue_")}


def test_every_hook_is_one_for_pluggy():
    """A manager that reads the module has them all, under the project's name."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    assert {name for name in vars(manager.hook) if not name.startswith("_")} == set(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_says_since_when_it_exists(name):
    """A plugin can tell which release it needs."""
    assert re.search(r"Since 0\.\d+\.", HOOKS[name].__doc__)


def test_the_first_reason_to_skip_a_case_counts():
    """Other hooks are asked of every plugin."""
    first = [name for name, hook in HOOKS.items() if hook.kexue_bench_spec["firstresult"]]
    assert first == ["kexue_skip"]


def test_a_misspelt_hook_or_argument_is_refused():
    """It would never be called otherwise."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)

    class Misspelt:
        @hookspecs.hookimpl
        def kexue_skip(self, cas):
            return None

    with pytest.raises(pluggy.PluginValidationError, match="cas"):
        manager.register(Misspelt())

    class Unknown:
        @hookspecs.hookimpl
        def kexue_method(self):
            return []

    manager.register(Unknown())
    with pytest.raises(pluggy.PluginValidationError, match="kexue_method"):
        manager.check_pending()
