"""One reading that several test modules print."""

from __future__ import annotations

import pytest
import stored


@pytest.fixture(scope="package")
def tabulation():
    """The study with everything that can stand in a table, read."""
    return stored.read(stored.study())
