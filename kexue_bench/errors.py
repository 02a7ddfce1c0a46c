"""The errors that a user may see: each says what is wrong, what was found and what to do, and has an exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """The known names closest to a misspelled one, nearest first."""
    return tuple(difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5))


def suggestion(name: str, known: Iterable[str]) -> str:
    """`did you mean rloo?`; empty if no name is close."""
    near = nearest(name, known)
    return f"did you mean {' or '.join(near)}?" if near else ""


class KexueError(Exception):
    """Base of every error that is shown to a user as one paragraph, without a traceback.

    Args:
        what: what is wrong, as a sentence without its full stop.
        got: what was found instead; empty if `what` already says it.
        do: what to do next; empty if nothing helps.
    """

    exit_code = 2

    def __init__(self, what: str, *, got: str = "", do: str = "") -> None:
        parts = [what + (f", got {got}" if got else "")]
        if do:
            parts.append(do)
        super().__init__("; ".join(parts))
        self.what, self.got, self.do = what, got, do


class UsageError(KexueError):
    """The request is invalid (exit code 2)."""


class UnknownNameError(UsageError):
    """A name that no loaded plugin registered; suggests the nearest names."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        names = sorted(known)
        near = nearest(name, names)
        if near:
            do = suggestion(name, names)
        elif names:
            do = f"known: {', '.join(names[:12])}" + (" ..." if len(names) > 12 else "")
        else:
            do = "none is registered: `kexue-bench plugins` shows what was loaded"
        super().__init__(f"unknown {kind}", got=repr(name), do=f"{do}; {hint}" if hint else do)
        self.near = near


class PluginError(UsageError):
    """A requested plugin cannot be used; the message gives the reason."""


class ResultsError(KexueError):
    """The results folder cannot be written, read or belongs to another run (exit code 4)."""

    exit_code = 4


class EngineError(KexueError):
    """The run cannot go on: this machine refuses what workers need; everything reported is stored (exit code 4)."""

    exit_code = 4


class InvalidResult(ValueError):  # noqa: N818  # names what the method returned, as its status `invalid` does
    """What a method returned cannot be measured: wrong type, shape or device, not finite, or an input was changed."""


class NotOffered(TypeError):  # noqa: N818  # the status of such a case is `unsupported`, which is not a failure
    """A task does not provide the argument of a check."""
