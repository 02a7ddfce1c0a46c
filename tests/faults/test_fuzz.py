"""100,000 random selectors, options and journal lines: an answer or our own error for each, and no hang."""

from __future__ import annotations

import argparse
import contextlib
import random
import string
import time
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kexue_bench.api import Case, Instance, Measurement, MethodSpec, Outcome
from kexue_bench.catalog import selectors
from kexue_bench.catalog.conditions import Scope, holds
from kexue_bench.catalog.fields import Field
from kexue_bench.cli import options
from kexue_bench.errors import UsageError
from kexue_bench.store import journal
from kexue_bench.store.codec import CodecError, decode, dumps, loads
from kexue_bench.store.results import RunWriter, load_run

RLOO = MethodSpec(name="rloo", family="f", target="x:Y", summary="")
FIELDS = (
    Field(name="n", type="int", default=2),
    Field(name="t", type="float", default=0.5),
    Field(name="word", type="str", default="none"),
    Field(name="on", type="bool", default=False),
)
PIECES = ("rloo", "st-*", "[", "]", ",", "=", "n", "t", "word", "on", "/", "'", '"', "[2,4]", "1e999", "nan", "-0", " ")
PIECES += (
    "\x1b",
    "\u202e",
    "\0",
    "?",
    "0x10",
    "9" * 400,
    "true",
    "ſ",
    "\ud800",
    "1_0",
    "٣",
    "inf",
    "--",
    "%",
    "GB",
    "KiB",
)
STEPS = settings(
    max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
BATCH = 400
"""Inputs an example; 100 examples of each of the two tests of words and 200 of 100 lines make 100,000."""


def words(rng: random.Random) -> str:
    """A text that is often almost a selector, or an option's value."""
    pieces = [rng.choice(PIECES) for _ in range(rng.randrange(9))]
    if rng.random() < 0.2:
        pieces.append("".join(map(chr, (rng.randrange(0x11000) for _ in range(rng.randrange(5))))))
    if rng.random() < 0.4:
        key, value = rng.choice(("n", "t", "word", "on", "x")), "".join(pieces)
        return f"rloo[{key}={value}]"
    return "".join(pieces)


@given(seed=st.integers(0, 2**64 - 1))
@STEPS
def test_any_selector_is_understood_or_refused(seed):
    """What is understood can be written again, and then means the same."""
    rng = random.Random(seed)
    for _ in range(BATCH):
        text = words(rng)
        try:
            for part in selectors.split(text):
                selector = selectors.parse(part)
                selectors.matches(selector, ["rloo", "st-gumbel"])
                found = selectors.expand(selector, RLOO, FIELDS)
        except UsageError:
            continue
        # A text with both kinds of quotes cannot be written in a selector.
        if text.strip(", ") and len(found) == 1 and not {"'", '"'} <= set(str(found[0].params["word"])):
            again = selectors.parse(selectors.split(written(found[0]))[0])
            (same,) = selectors.expand(again, RLOO, FIELDS)
            assert same.params == found[0].params


def written(instance: Instance) -> str:
    """The selector with every parameter written out."""
    inside = ",".join(f"{key}={selectors.text(value)}" for key, value in instance.params.items())
    return f"rloo[{inside}]"


@given(seed=st.integers(0, 2**64 - 1))
@STEPS
def test_any_option_value_is_understood_or_refused(seed):
    """Amounts of memory, shares and conditions of claims."""
    rng = random.Random(seed)
    scope = Scope(fields={"n": 2}, task={"t": 0.5}, offers=frozenset({"smooth"}))
    for _ in range(BATCH):
        text = words(rng)
        for read in (options.size, options.share):
            with contextlib.suppress(argparse.ArgumentTypeError):
                read(text)
        if rng.random() < 0.1:
            with contextlib.suppress(UsageError):
                holds(text, scope)


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    """Good lines of a journal, of several kinds."""
    row = Measurement(metric="m", value=float("inf"), low=-0.0, flags=frozenset({"bound"}))
    case = Case(
        family="f",
        task=Instance(name="t", target="x:Y"),
        task_version=1,
        method=Instance(name="m", target="x:Y"),
        stage="time",
    )
    return [
        dumps(Outcome(key=case.key, status="ok", measurements=(row,) * n, reason="r" * n)).encode() for n in range(4)
    ]


@given(seed=st.integers(0, 2**64 - 1))
@settings(STEPS, max_examples=200)
def test_any_line_of_a_journal_is_a_record_or_a_note(tmp_path_factory, lines, seed):
    """A hundred lines, most of them damaged: every one is accounted for, and good ones among them are read."""
    rng = random.Random(seed)
    path = tmp_path_factory.getbasetemp() / "fuzz.jsonl"
    made = [line_of(rng, i + 1, rng.choice(lines)) for i in range(100)]
    path.write_bytes(b"\n".join(made) + b"\n")
    begun = time.monotonic()
    reading = journal.read(path)
    assert time.monotonic() - begun < 5
    seen = {record.line for record in reading.records} | {note.line for note in reading.notes}
    whole = [i + 1 for i, line in enumerate(made) if line.strip() and b"\n" not in line]
    if sum(b"\n" in line for line in made) == 0:
        assert set(whole) <= seen
    for record in reading.records:
        with contextlib.suppress(CodecError):
            decode(Outcome, record.data)


def line_of(rng: random.Random, seq: int, payload: bytes) -> bytes:
    """A line as the journal writes it, or what became of it."""
    kind = rng.randrange(8)
    if kind == 0:
        payload = dumps("".join(rng.choice(string.printable) for _ in range(rng.randrange(30)))).encode()
    elif kind == 1:
        payload = payload[: rng.randrange(len(payload))]
    elif kind == 2:
        payload = b"[" * rng.randrange(2000) + payload
    elif kind == 3:
        payload = payload.replace(b'"ok"', rng.choice((b"NaN", b"1e999", b"9" * 5000, b'{"$f":"x"}', b'"lost"')))
    body = b'"v":%d,"seq":%d,"outcome":%s}' % (rng.choice((1, 1, 1, 2)), seq, payload)
    line = bytearray(b'{"crc":"%08x",%s' % (zlib.crc32(body), body))
    if kind == 4:
        line[rng.randrange(len(line))] ^= 1 << rng.randrange(8)
    elif kind == 5:
        line[rng.randrange(len(line)) :] = rng.randbytes(rng.randrange(40))
    elif kind == 6:
        at = rng.randrange(len(line))
        line[at:at] = line[rng.randrange(len(line)) :]
    return bytes(line)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, '"' + "\\u0000" * 10_000, "9" * 100_000, "1e-400"])
def test_endless_documents_are_refused(text):
    """Depth and length do not end the program."""
    with contextlib.suppress(CodecError):
        loads(text)


def test_numbers_that_are_none_survive_the_folder(tmp_path):
    """NaN, infinities, negative zero and the smallest number come back bit for bit as they went."""
    from kexue_bench.api import Job, Plan

    values = [float("nan"), float("inf"), -float("inf"), -0.0, 5e-324, 1.7976931348623157e308]
    case = Case(
        family="f",
        task=Instance(name="t", target="x:Y", params={"limit": float("inf")}),
        task_version=1,
        method=Instance(name="m", target="x:Y"),
        stage="evaluate",
    )
    outcome = Outcome(key=case.key, status="ok", measurements=tuple(Measurement(metric="m", value=v) for v in values))
    with RunWriter.create(tmp_path, name="x", plan=Plan(jobs=(Job(cases=(case,)),)), environment={}) as writer:
        writer.append([outcome])
    run = load_run(writer.path)
    assert list(map(repr, (m.value for m in run.outcomes[case.key].measurements))) == list(map(repr, values))
    assert run.plan.cases[0].key == case.key
