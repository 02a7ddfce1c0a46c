"""What a check of the kit found, as a value: its name, what it looked at, and what to change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check of one method, task, family or plugin.

    Args:
        check: name of the check: `contract`, `knobs`, or the name of a claim.
        subject: what was checked: `gradients/rloo`.
        ok: None if nothing was decided.
        message: what is wrong and what to change; empty if it is in order.
        place: task and dtype, if the check ran on one.
        finished: False if an error ended the check before it could decide; `ok` is False then.
    """

    check: str
    subject: str
    ok: bool | None = True
    message: str = ""
    place: str = ""
    finished: bool = True

    def __str__(self) -> str:
        """`gradients/rloo: knobs: ...`."""
        where = f" ({self.place})" if self.place else ""
        return f"{self.subject}: {self.check}{where}: {self.message or 'in order'}"


def finding(check: str, subject: str, *faults: str, place: str = "") -> Finding:
    """A finding that is in order unless there are faults."""
    message = "; ".join(filter(None, faults))
    return Finding(check=check, subject=subject, ok=not message, message=message, place=place)


def complain(findings: Iterable[Finding]) -> None:
    """Do nothing if no finding is a failure.

    Raises:
        AssertionError: at least one is; the message has one line for each.
    """
    failed = [str(found) for found in findings if found.ok is False]
    if failed:
        raise AssertionError("\n".join(failed))
