"""Checks of hyper-parameters, with what was got and what to do."""

from __future__ import annotations

import math


def positive(name: str, value: float) -> None:
    """Refuse a number that is not finite and > 0.

    Raises:
        ValueError: it is not.
    """
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be finite and > 0, got {value}; give a positive number")


def at_least(name: str, value: float, least: float) -> None:
    """Refuse a number that is below a bound, or not finite.

    Raises:
        ValueError: it is.
    """
    if not least <= value < math.inf:
        raise ValueError(f"{name} must be finite and >= {least:g}, got {value}; give {least:g} or more")


def one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse an unknown word.

    Raises:
        ValueError: it is not one of them.
    """
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
