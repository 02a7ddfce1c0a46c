"""What a suite decides: how many rows of stored runs are undecided against the baseline (docs/statistics.md).

    python tests/bench/undecided.py RUN [RUN ...]

reads the primary column of every table of each run, and names the tables in which more than half of the rows are.
"""

from __future__ import annotations

import sys

import kexue_bench
from kexue_bench.session import ReadOptions
from kexue_bench.session.results import tabulate
from kexue_bench.session.running import load

DECIDED = ("better", "worse", "equivalent")


def main(paths: list[str]) -> None:
    """Print one line for each run, and one for each table that decides too little."""
    registry, _ = load(())
    for path in paths:
        found = {}
        for table in tabulate([kexue_bench.load_run(path)], registry, ReadOptions()).tables:
            effects = [row.cells[table.primary].effect for row in table.rows if table.primary in row.cells]
            verdicts = [effect.verdict for effect in effects if effect is not None]
            counted = [verdict for verdict in verdicts if verdict in {*DECIDED, "undecided"}]
            if counted:
                found[table.task.label] = (counted.count("undecided"), len(counted))
        open_, rows = (sum(pair[i] for pair in found.values()) for i in (0, 1))
        few = [label for label, (left, of) in found.items() if left > of / 2]
        print(f"{path}: {open_} of {rows} rows, {len(few)} of {len(found)} tables")  # noqa: T201  # the result
        for label in few:
            print(f"  {label}: {found[label][0]} of {found[label][1]}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
