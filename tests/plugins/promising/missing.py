"""A method whose module needs a package that is not there."""

from __future__ import annotations

from dataclasses import dataclass

import a_package_that_is_not_there


@dataclass(frozen=True, kw_only=True)
class Importing:
    """Never built."""

    def value(self, x: object) -> object:
        """What the package makes of it."""
        return a_package_that_is_not_there.value(x)
