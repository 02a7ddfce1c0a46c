"""What tests of engines share: imports of the fork server, what a job answered, and whether a process is gone."""

from __future__ import annotations

import time

from kexue_bench.run.engines import processes

PRELOAD = ("kexue_bench.run.worker", "kexue_bench.lab.stages", "kexue_bench.lab.training")


def score(chaos, delivery):
    (outcome,) = chaos.outcomes(delivery.text)
    return {row.metric: row.value for row in outcome.measurements}["score"]


def gone(pid: int, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not processes.alive(pid):
            return True
        time.sleep(0.02)
    return False
