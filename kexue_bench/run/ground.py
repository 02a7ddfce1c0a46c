"""Imported last by the fork server: what it has loaded is looked at once, and every worker that it forks knows it."""

from __future__ import annotations

from ..store.sources import LOADED

LOADED.take()
