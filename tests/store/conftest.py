"""A results folder and a plan that the tests of storage share."""

from __future__ import annotations

import folders
import pytest


@pytest.fixture
def root(tmp_path):
    return tmp_path / "results"


@pytest.fixture
def plan():
    return folders.make_plan()
