"""Speed of reading declarations: `pytest tests/bench`; every figure is a ratio within one run."""

from __future__ import annotations

import sys
from time import perf_counter

import pytest

from kexue_bench.catalog import source
from kexue_bench.catalog.fields import fields_of
from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry
from kexue_bench.store import cache


def everything() -> None:
    """What `list` reads: every spec of every family, and its fields."""
    registry = Registry(load_plugins())
    for spec in (*registry.methods.values(), *registry.tasks.values()):
        fields_of(spec)


def seconds(call) -> float:
    """Of one call."""
    begin = perf_counter()
    call()
    return perf_counter() - begin


@pytest.fixture
def empty(monkeypatch, tmp_path):
    """A cache folder of this test, which keeps files of any age."""
    monkeypatch.setenv("KEXUE_BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "_SETTLED", -1)
    source._cache.cache_clear()
    yield
    source._cache.cache_clear()


def test_cached_against_uncached(empty, monkeypatch, capsys):
    """A process that finds the sheets on disk reads every spec in a third of the time of one that parses the files."""
    everything()  # imports
    uncached, cached = [], []
    for _ in range(5):
        monkeypatch.setattr(source, "_read", {})
        source._cache.cache_clear()
        for file in cache.folder().glob("*"):
            file.unlink()
        uncached.append(seconds(everything))
        source._cache().save()
        monkeypatch.setattr(source, "_read", {})
        source._cache.cache_clear()
        cached.append(seconds(everything))
    ratio = min(cached) / min(uncached)
    with capsys.disabled():
        sys.stdout.write(f"\nreading every spec: cached / uncached {ratio:.2f} (<= 0.33)")
    assert ratio <= 1 / 3


def test_asking_again_against_the_first_time(empty, monkeypatch, capsys):
    """In one process the fields of a spec are collected once: asking again costs half of that at most."""
    registry = Registry(load_plugins())
    specs = [*registry.methods.values(), *registry.tasks.values()]
    first = []
    for _ in range(5):
        monkeypatch.setattr("kexue_bench.catalog.fields._known", {})
        first.append(seconds(lambda: [fields_of(spec) for spec in specs]))
    again = min(seconds(lambda: [fields_of(spec) for spec in specs]) for _ in range(5))
    with capsys.disabled():
        sys.stdout.write(f"\nfields of every spec: again / first {again / min(first):.2f} (<= 0.5)")
    assert again <= min(first) / 2
