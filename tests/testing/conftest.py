"""The erring third party, importable and loaded by name."""

import pytest
from misbehaving import PLUGINS

from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry


@pytest.fixture
def erring(monkeypatch):
    """The registry with the erring plugin, whose modules can be imported."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    return Registry(load_plugins(["erring.plugin"]))
