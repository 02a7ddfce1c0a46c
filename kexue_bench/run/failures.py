"""What an exception means for its case: a status, one line and a traceback, even if its methods raise."""

from __future__ import annotations

import traceback

from ..api import Status
from ..errors import InvalidResult, NotOffered
from .capture import bounded

FRAMES = 20
"""Number of innermost traceback frames that an outcome keeps."""
REASON = 500
"""Most characters of a reason."""
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def classify(error: BaseException, *targets: str) -> Status:
    """The status of a case that raised this exception."""
    name = type(error).__name__
    if name == "Diverged" and type(error).__module__ == "kexue_bench.lab.training":
        return "diverged"
    if isinstance(error, MemoryError) or name == "OutOfMemoryError":
        return "out-of-memory"
    if isinstance(error, RuntimeError) and any(words in describe(error) for words in _NO_MEMORY):
        return "out-of-memory"
    if isinstance(error, InvalidResult):
        return "invalid"
    if isinstance(error, NotOffered):
        return "unsupported"
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        if package not in {target.partition(":")[0].partition(".")[0] for target in targets}:
            return "unsupported"
    return "failed"


def describe(error: BaseException, *, with_type: bool = True) -> str:
    """One line about an exception, even if its `str` raises."""
    name = type(error).__name__
    try:
        text = " ".join(str(error).split())
    except BaseException:  # noqa: BLE001  # its own `__str__` may raise anything
        text = "(its message cannot be read)"
    if with_type:
        text = f"{name}: {text}" if text else name
    return text if len(text) <= REASON else text[: REASON - 3] + "..."


def trace_of(error: BaseException, printed: str = "") -> str:
    """The innermost frames of an exception and what was printed before it, bounded."""
    try:
        lines = traceback.format_exception(type(error), error, error.__traceback__, limit=-FRAMES)
        text = "".join(lines)
    except BaseException:  # noqa: BLE001  # its own `__str__`, `__notes__` or `__cause__` may raise anything
        text = f"{type(error).__name__}, whose traceback cannot be printed"
    return bounded("\n".join(filter(None, (text.rstrip(), printed))))
