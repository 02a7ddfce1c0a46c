"""Folders from strangers are data: whatever is in them is read, refused or marked, and comes out harmless."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import random
import re
import sys
import time
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from written import render_rows

from kexue_bench.analysis import comparison as analysis
from kexue_bench.api import Case, FamilySpec, Instance, Job, Measurement, Outcome, Plan, Series
from kexue_bench.catalog.metrics import CORE_METRICS, keyed
from kexue_bench.catalog.plugins import Hooks
from kexue_bench.cli.main import main
from kexue_bench.cli.runs import summary
from kexue_bench.cli.story import story
from kexue_bench.errors import KexueError
from kexue_bench.report.progress import progress_display
from kexue_bench.report.terminal import render
from kexue_bench.store import codec
from kexue_bench.store.results import Run, RunWriter, load_run

PAYLOADS = (
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b]8;;http://x.invalid\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31m",
    "a\rFORGED",
    "a\nFORGED planned 9 = ok 9",
    "back\b\b\b\bspace",
    "bell\a",
    "nul\0nul",
    "\u202egnp.exe",
    "zero\u200bwidth\u2066\u2069",
    "line\u2028separator\u2029",
    "[bold red]markup[/bold red][/x]",
    "[link=http://x.invalid]x[/link]",
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    '=HYPERLINK("http://x.invalid")',
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](http://x.invalid)",
    "a | b | c",
    "`code` **bold** _it_",
    "\\write18{ls} \\input{/etc/passwd}",
    "$x^2$ 100% #1 {~} & ^^41",
    "{{7*7}} ${HOME} $(id) `id`",
    "../../etc/passwd",
    "/abs/olute\\..\\..",
    "\ud800lone",
    "x" * 3000,
    "\U000e0041tags\ufeff",
)


def case_with(text: str) -> Case:
    """A case every text of which is the payload."""
    return Case(
        family=text,
        task=Instance(name=text, target="x:Y", label=text, params={text: text}),
        task_version=1,
        method=Instance(name=text, target="x:Y", label=text, params={text: text}),
        stage="evaluate",
        device=text,
        dtype=text,
        claim=text,
    )


def run_with(text: str) -> Run:
    """A run every text of which is the payload: one case that ended well and one that did not."""
    good = case_with(text)
    bad = replace(good, method=replace(good.method, params={text: 1}))
    row = Measurement(metric=text, value=-1.5, low=-2.0, high=1.0, unit=text, flags=frozenset({text}))
    words: dict[str, Any] = {"phase": text, "reason": text, "trace": text, "stop": text, "state_leak": (text,)}
    outcomes = {
        good.key: Outcome(
            key=good.key, status="ok", measurements=(row, replace(row, labels={text: text})), details={text: text}
        ),
        bad.key: Outcome(key=bad.key, status="failed", fingerprint=text, **words),
    }
    return Run(
        path=Path("results") / (text.replace("/", "_").replace("\0", "_")[:80] or "_"),
        plan=Plan(jobs=(Job(cases=(good, bad)),), baselines={text: good.method}, added=(text,)),
        environment={text: text},
        command=("kexue-bench", "compare", text),
        outcomes=outcomes,
        ledger=(*outcomes.values(), replace(outcomes[bad.key], attempt=2)),
        notes=(text,),
    )


def read(run: Run):
    """The comparison of a run, with no spec of anything in it."""
    return analysis.read([run], metrics=keyed(CORE_METRICS), families={}, tasks={})


def terminal(run: Run) -> str:
    """The report as a terminal gets it."""
    console = Console(file=io.StringIO(), width=100, force_terminal=False, color_system=None)
    console.print(render(read(run), width=100))
    return console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]  # the StringIO above


def exported(form: str) -> Callable[[Run], str]:
    """The comparison in a text format."""
    return lambda run: render_rows(read(run).rows(), form, run=[run.path.name])


def framed(run: Run) -> str:
    """The tidy frame as csv."""
    return render_rows(run.to_frame().to_dict("records"), "csv", run=[run.path.name])


def told(run: Run) -> str:
    """The stories of both cases and the summary."""
    return "\n".join([*(story(run, case) for case in run.plan.cases), summary(run)])


def progress(run: Run) -> str:
    """The line of `-v` for each outcome."""
    stream = io.StringIO()
    with contextlib.redirect_stderr(stream), progress_display(verbose=True) as display:
        observer = display.observing(Hooks([]))
        observer.started(run.plan)
        for outcome in run.outcomes.values():
            observer.finished(outcome, run.plan.by_key[outcome.key])
    return stream.getvalue()


SINKS: dict[str, Callable[[Run], str]] = {
    "terminal": terminal,
    "story": told,
    "progress": progress,
    "csv": exported("csv"),
    "frame": framed,
    "json": exported("json"),
    "md": exported("md"),
    "latex": exported("latex"),
}


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_no_text_acts_on_its_surroundings(sink, payload, book):
    """In whatever field a stranger puts it, in whatever output it comes out."""
    out = SINKS[sink](run_with(payload))
    bad = [c for c in out if c not in "\n\r" and unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp", "Cs"}]
    assert not bad
    assert not [line for line in out.splitlines() if line.startswith("FORGED")]
    if sink in {"csv", "frame"}:
        for record in csv.reader(io.StringIO(out)):
            assert not [cell for cell in record if cell[:1] in "=+-@\t\r" and cell and not _is_number(cell)]
    elif sink == "json":
        assert json.loads(out)["rows"]
    elif sink == "md":
        # A backslash before a sign of punctuation makes it literal.
        plain = re.sub(r"\\[!-/:-@\[-`{-~]", "", out)
        assert not [mark for mark in ("<script", "<img", "](", "`") if mark in plain]
    elif sink == "latex":
        assert "\\write18" not in out
        assert "\\input" not in out
    book.add("I3" if sink in {"terminal", "story", "progress"} else "I6", trials=1)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("payload", [p for p in PAYLOADS if "\0" not in p][:12], ids=range(12))
def test_what_a_user_typed_is_not_obeyed_either(payload, tmp_path, monkeypatch, capsys):
    """Names on the command line come back in errors, where a script may have put a stranger's text."""
    monkeypatch.chdir(tmp_path)
    for words in (("show", payload), ("compare", payload), ("list", "runs", "-o", payload), ("report", f"./{payload}")):
        code = main([*words])
        out, err = capsys.readouterr()
        assert code in {0, 2, 4}
        assert not [c for c in out + err if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp", "Cs"}]


# -- structure --------------------------------------------------------------------------------------------------------

ATOMS = (
    None, True, False, 0, -1, 1, 2**53, 10**30, 1e308, 5e-324, -0.0, "", "x", "0" * 70, "\x1b[31m", [], {}, [[]],
    [None], {"": ""}, {"$f": "nan"}, {"$f": "inf"}, {"$kind": "Evidence"}, {"$kind": "Plan"}, "ok", "time", "crashed",
    "evaluate",
)  # fmt: skip


def valid_run() -> tuple[Plan, list[Outcome]]:
    """A plan with sampling, training and timing cases, and outcomes of all kinds."""
    base = Instance(name="base", target="x:Y", label="base", params={"n": 2})
    other = Instance(name="other", target="x:Y", label="other[t=0.5]", params={"t": 0.5, "word": "w"})
    task = Instance(name="toy", target="x:Y", label="toy", params={"bits": 3})
    jobs, outcomes = [], []
    for i, method in enumerate((base, other)):
        case = Case(family="fam", task=task, task_version=1, method=method, stage="evaluate", replicates=(0, 1))
        jobs.append(Job(cases=(case,)))
        series = Series(kind="dyadic", values=tuple(1.0 + j / 7 + i for j in range(32)), batch=4, looks=1)
        rows = (
            Measurement(metric="mse", value=2.0 + i, low=1.5, high=3.0, n=128, series=series),
            Measurement(metric="elbo", value=-3.0, replicate=0, point=10),
            Measurement(metric="elbo", value=-2.0, replicate=0, labels={"reading": "tuned"}),
            Measurement(metric="elbo", value=-2.5, replicate=1),
        )
        outcomes.append(Outcome(key=case.key, status="ok", measurements=rows, stop="precision", fingerprint="f"))
        timed = [
            Case(family="fam", task=task, task_version=1, method=method, stage="time", copy=c) for c in range(2 - i)
        ]
        jobs.append(Job(cases=tuple(timed), exclusive=True, group="g"))
        for case in timed:
            series = Series(kind="rounds", values=(1e-6, None, 2e-6, 1.5e-6), group="g")
            row = Measurement(metric="time", value=1.5e-6, unit="s", n=4, replicate=0, series=series)
            outcomes.append(Outcome(key=case.key, status="ok", measurements=(row,)))
    failed = Case(family="fam", task=task, task_version=1, method=other, stage="verify", claim="unbiased")
    jobs.append(Job(cases=(failed,)))
    outcomes.append(Outcome(key=failed.key, status="crashed", phase="verify", reason="killed", trace="a\nb"))
    return Plan(jobs=tuple(jobs), baselines={"fam": base}, request={"suite": "quick"}), outcomes


FAMILY = FamilySpec(
    name="fam", title="F", summary="", contract="x:Y", precision_metric="mse", baseline="base", headline=("mse", "time")
)


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a document."""
    for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield node, key
        yield from places(node[key])


def mutate(document: Any, rng: random.Random) -> None:
    """Replace, remove, repeat, rename or swap something."""
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        found = list(places(document))
        container, key = found[rng.randrange(len(found))]
        kind = rng.randrange(6)
        if kind == 0:
            del container[key]
        elif kind == 1 and isinstance(container, list):
            container.insert(key, json.loads(json.dumps(container[key])))
        elif kind == 2 and isinstance(container, dict):
            container[rng.choice(("", "extra", "key", "cases", "\x1b", key))] = container.pop(key)
        elif kind == 3:
            other, place = found[rng.randrange(len(found))]
            with contextlib.suppress(KeyError, IndexError):
                container[key] = json.loads(json.dumps(other[place]))
        else:
            container[key] = rng.choice(ATOMS)


def line_of(seq: int, outcome: Any) -> bytes:
    """A line of a journal with a right checksum."""
    body = f'"v":1,"seq":{seq},"outcome":{json.dumps(outcome)}}}'.encode()
    return b'{"crc":"%08x",%s\n' % (zlib.crc32(body), body)


def sealed(document: bytes) -> bytes:
    """A `run.json` with a right checksum."""
    return b'{"crc":"%08x",%s' % (zlib.crc32(document[1:]), document[1:])


def test_a_forged_run_is_read_or_refused(tmp_path, soak, book):
    """Checksums are right, the structure is not: every reader answers or says what is wrong in words of ours."""
    rng = random.Random(7)
    plan, outcomes = valid_run()
    with RunWriter.create(tmp_path, name="x", plan=plan, environment={"cpu": "c"}, command=("kexue-bench", "run")) as w:
        w.append(outcomes)
        path = w.path
    head = json.loads((path / "run.json").read_bytes())
    del head["crc"]
    lines = [codec.encode(outcome) for outcome in outcomes]
    trials = refused = 0
    end = time.monotonic() + 15 * soak
    while trials < 400 or time.monotonic() < end:
        trial, trials = trials, trials + 1
        document, forged = json.loads(json.dumps(head)), json.loads(json.dumps(lines))
        if trial % 2:
            mutate(document, rng)
        mutate(forged if trial % 3 else document, rng)
        (path / "run.json").write_bytes(sealed(json.dumps(document).encode()))
        (path / "outcomes.jsonl").write_bytes(b"".join(line_of(i + 1, line) for i, line in enumerate(forged)))
        try:
            use(load_run(path))
        except KexueError:
            refused += 1
        except Exception as error:
            error.add_note(f"trial {trial}: {json.dumps(document)[:4000]}\n{json.dumps(forged)[:4000]}")
            raise
    assert 0 < refused < trials
    book.add("I12", trials=trials)


def use(run: Run) -> None:
    """Everything that reads a run."""
    console = Console(file=io.StringIO(), width=90)
    # Numbers out of range may warn; what they lead to is shown as missing.
    with np.errstate(all="ignore"):
        found = analysis.read([run], metrics=keyed(CORE_METRICS), families={"fam": FAMILY}, tasks={})
    console.print(render(found, width=90))
    for form in ("csv", "json", "md", "latex"):
        render_rows(found.rows(), form, run=[run.path.name])
    run.to_frame()
    for case in run.plan.cases:
        story(run, case)
    summary(run)


def test_nothing_that_reads_a_run_can_unpickle():
    """No module of the core imports a loader that runs code from data; the kit for authors pickles their objects."""
    import ast

    import kexue_bench

    root = Path(kexue_bench.__file__).parent
    forbidden = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "joblib"}
    readers = [file for file in root.rglob("*.py") if file.relative_to(root).parts[0] not in {"lab", "testing"}]
    for file in readers:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not forbidden & {name.partition(".")[0] for name in names}, file
            called = node.func if isinstance(node, ast.Call) else None
            assert not (isinstance(called, ast.Name) and called.id in {"eval", "exec", "compile_restricted"}), file


def test_a_link_in_a_run_folder_is_not_written_through(tmp_path):
    """A folder from elsewhere may hold links; resuming it must not write where they point."""
    plan, outcomes = valid_run()
    with RunWriter.create(tmp_path / "results", name="x", plan=plan, environment={}) as writer:
        path = writer.path
    outside = tmp_path / "outside"
    outside.write_text("mine")
    for name in ("outcomes.jsonl", "run.lock"):
        (path / name).unlink(missing_ok=True)
        (path / name).symlink_to(outside)
        with pytest.raises(KexueError):
            RunWriter.open(path)
        (path / name).unlink()
    assert outside.read_text() == "mine"
    with RunWriter.open(path) as writer:
        writer.append(outcomes)


@pytest.mark.parametrize("ref", ["../secret", "/etc", "/etc/passwd", "..", "....//", "a\0b", "~root", "latest/../.."])
def test_a_reference_to_a_run_reads_runs_alone(tmp_path, monkeypatch, capsys, ref):
    """A path may be named, and what is no run is refused without being read."""
    monkeypatch.chdir(tmp_path)
    assert main(["report", ref]) in {2, 4}
    assert "Traceback" not in capsys.readouterr().err


if sys.platform == "win32":
    pytest.skip("links and folders differ", allow_module_level=True)
