"""An engine that drops, delays, duplicates, reorders and corrupts deliveries costs attempts, never outcomes."""

from __future__ import annotations

import json
import random
import threading
from concurrent.futures import Future
from pathlib import Path
from queue import Queue

import pytest

from kexue_bench.api import Case, Instance, Job, Measurement, Outcome, Plan
from kexue_bench.run import runner
from kexue_bench.run.engines import Delivery
from kexue_bench.store import codec

SCHEDULES = 2000


class Network:
    """A thread that delivers answers in whatever order they are put into it."""

    def __init__(self):
        self._queue = Queue()
        threading.Thread(target=self._run, daemon=True).start()

    def send(self, future, delivery):
        self._queue.put((future, delivery))

    def _run(self):
        while True:
            future, delivery = self._queue.get()
            # The second delivery of one job finds its future settled and is dropped, as any engine must.
            if not future.done():
                future.set_result(delivery)


class FaultyEngine:
    """The engine protocol over a bad network; each fate has a seeded chance."""

    capacity = 3

    def __init__(self, seed, network):
        self._random, self._network = random.Random(seed), network
        self._held, self._answers = [], []

    def start(self):
        pass

    def stop(self):
        pass

    def close(self):
        pass

    def submit(self, text, *, limit, members=1, exclusive=False):
        future = Future()
        request = json.loads(text)
        good = Delivery(status="ok", text=answer(request))
        fate = self._random.choice(["good"] * 6 + ["drop", "late", "twice", "another", "cut", "flip", "empty"])
        delivery = {
            "drop": Delivery(status="lost", reason="no answer within the deadline"),
            "another": Delivery(status="ok", text=self._random.choice(self._answers or [good.text])),
            "cut": Delivery(status="ok", text=good.text[: self._random.randrange(len(good.text))]),
            "flip": Delivery(status="ok", text=flipped(good.text, self._random)),
            "empty": Delivery(status="ok", text=""),
        }.get(fate, good)
        self._answers.append(good.text)
        self._held.append((future, delivery))
        if fate == "twice":
            self._held.append((future, delivery))
        # What is held back leaves in any order, and nothing waits once the queue of the runner is full.
        self._random.shuffle(self._held)
        keep = self._random.randrange(2) if fate == "late" and len(self._held) <= self.capacity else 0
        while len(self._held) > keep:
            self._network.send(*self._held.pop())
        if self._held:
            threading.Timer(0.001, self._flush).start()
        return future

    def _flush(self):
        while self._held:
            self._network.send(*self._held.pop())


def value(key):
    """What a case measures, whoever runs it and however often."""
    return int(key, 16) / 2**64


def answer(request):
    if request["kind"] == "resolve":
        return codec.seal({"refused": [], "broken": []})
    job = codec.decode(Job, request["job"])
    outcomes = [
        Outcome(
            key=case.key,
            status="ok",
            attempt=request["attempt"],
            measurements=(Measurement(metric="x", value=value(case.key)),),
        )
        for case in job.cases
    ]
    return codec.seal({"outcomes": outcomes})


def flipped(text, chance):
    """One character replaced by another that keeps it text."""
    at = chance.randrange(len(text))
    return text[:at] + chance.choice('{}[]",:0x') + text[at + 1 :]


class Ledger:
    """The journal's place: keeps every stored outcome in order."""

    path = Path("nowhere")

    def __init__(self):
        self.stored = []

    def append(self, outcomes):
        self.stored.extend(outcomes)
        return tuple(outcomes)

    def keep(self, kind, texts):
        assert not list(texts)


def plan():
    method = Instance(name="m", target="a:B")
    cases = [
        Case(family="f", task=method, task_version=1, method=method, stage="evaluate", seed=seed) for seed in range(8)
    ]
    timed = tuple(
        Case(family="f", task=method, task_version=1, method=method, stage="time", seed=seed) for seed in range(3)
    )
    return Plan(jobs=(*(Job(cases=(case,)) for case in cases), Job(cases=timed, exclusive=True, group="g")))


@pytest.mark.timeout(120)
def test_bad_deliveries_cost_attempts_and_never_outcomes():
    """Over 2,000 seeded schedules: every case ends once an attempt, at most twice, and an `ok` holds its own value."""
    network, planned = Network(), plan()
    keys = [case.key for case in planned.cases]
    wrong = 0
    for seed in range(SCHEDULES):
        ledger = Ledger()
        found = runner.run(planned, engine=FaultyEngine(seed, network), open_writer=lambda ledger=ledger: ledger)
        assert sorted(found) == sorted(keys), seed
        attempts = [(outcome.key, outcome.attempt) for outcome in ledger.stored]
        assert len(attempts) == len(set(attempts)), seed
        assert max(attempt for _, attempt in attempts) <= 2, seed
        assert {outcome.status for outcome in found.values()} <= {"ok", "lost"}, seed
        wrong += sum(o.status == "ok" and o.measurements[0].value != value(o.key) for o in found.values())
    assert wrong == 0
