"""The figures that fault tests measure, printed as one table at the end of the session."""

from __future__ import annotations

import os
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PLUGINS = HERE.parent / "plugins"
CATALOGUE = tomllib.loads((HERE / "faults.toml").read_text(encoding="utf-8"))


@dataclass
class Figures:
    """What was measured under one fault, added up over its trials; `detect` is the longest time to an outcome."""

    trials: int = 0
    lost: int = 0
    collateral: int = 0
    unaccounted: int = 0
    orphans: int = 0
    detect: float = 0.0


@dataclass
class Book:
    """Fault -> figures."""

    rows: dict[str, Figures] = field(default_factory=dict)

    def add(self, fault: str, *, trials: int = 1, detect: float = 0.0, **counts: int) -> None:
        """Add what was measured, and hold it to the target of the catalogue: none, everywhere."""
        assert fault in CATALOGUE, f"{fault} is not in faults.toml"
        row = self.rows.setdefault(fault, Figures())
        row.trials += trials
        row.detect = max(row.detect, detect)
        for name, count in counts.items():
            setattr(row, name, getattr(row, name) + count)
        assert not any(counts.values()), f"{fault}: {counts}"


_BOOK = Book()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--soak` gives the random faults time: half of it to kills of the real command."""
    parser.addoption("--soak", type=float, default=0.0, metavar="MINUTES", help="minutes for random faults (0)")


@pytest.fixture(scope="session")
def soak(request) -> float:
    """Minutes for random faults; 0 for the usual number of trials."""
    return request.config.getoption("--soak")


@pytest.fixture(scope="session")
def book() -> Book:
    """Where figures are written down."""
    return _BOOK


@pytest.fixture
def scratch(tmp_path) -> Iterator[Path]:
    """A folder in memory where there is one: a kill does not test the disk, and waiting for it is most of the time."""
    if sys.platform == "linux" and os.access("/dev/shm", os.W_OK):
        with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="kexue-bench-test-") as name:
            yield Path(name)
    else:
        yield tmp_path


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One row a fault, and their sum."""
    if not _BOOK.rows:
        return
    write = terminalreporter.write_line
    terminalreporter.section("faults: lost, collateral, unaccounted, orphans, longest time to an outcome")
    write(
        f"{'fault':<5} {'trials':>6} {'lost':>5} {'collateral':>10} {'unaccounted':>11} {'orphans':>7} {'T_detect':>9}"
    )
    total = Figures()
    for name in sorted(_BOOK.rows, key=lambda fault: (fault[0], int(fault[1:]))):
        row = _BOOK.rows[name]
        write(_line(name, row) + f"  {CATALOGUE[name]['fault']}")
        for key in ("trials", "lost", "collateral", "unaccounted", "orphans"):
            setattr(total, key, getattr(total, key) + getattr(row, key))
        total.detect = max(total.detect, row.detect)
    write(_line("all", total))


def _line(name: str, row: Figures) -> str:
    counts = f"{row.trials:>6} {row.lost:>5} {row.collateral:>10} {row.unaccounted:>11} {row.orphans:>7}"
    return f"{name:<5} {counts} {f'{row.detect:.2f} s' if row.detect else '':>9}"
