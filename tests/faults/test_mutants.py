"""Harnesses that are broken on purpose, each in one line: the tests of the real one must notice every one of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A text of a source file and what stands in its place; `caught` is the test that must fail."""

    file: str
    old: str
    new: str
    caught: str


MUTANTS = {
    "no fsync": Mutant(
        file="store/journal.py",
        old="            self._files.fsync(self._fd)\n        except OSError",
        new="        except OSError",
        caught="store/test_journal.py::test_a_crash_that_loses_unsynced_data_loses_nothing_acknowledged",
    ),
    "a failed fsync is retried": Mutant(
        file="store/journal.py",
        old="            self._files.fsync(self._fd)\n        except OSError",
        new="            with contextlib.suppress(OSError):\n                self._files.fsync(self._fd)\n"
        "            self._files.fsync(self._fd)\n        except OSError",
        caught="store/test_journal.py::test_a_failed_fsync_is_never_retried",
    ),
    "goes on after a failure": Mutant(
        file="store/journal.py",
        old="        if self._broken:\n",
        new="        if not payloads and self._broken:\n",
        caught="store/test_journal.py::test_a_failed_fsync_is_never_retried",
    ),
    "no seal": Mutant(
        file="store/journal.py",
        old="                self._seal()\n",
        new="",
        caught="store/test_journal.py::test_sealing_keeps_the_torn_bytes",
    ),
    "no checksum": Mutant(
        file="store/journal.py",
        old="if zlib.crc32(memoryview(piece)[head.end() :]) != int(head[1], 16):",
        new="if not piece:",
        caught="store/test_journal.py::test_every_single_bit_flip_is_detected",
    ),
    "a strict reader": Mutant(
        file="store/journal.py",
        old='            yield Note(kind="damaged", line=number, text=record)',
        new="            raise ResultsError(record)",
        caught="store/test_journal.py::test_runs_of_nul_cost_only_the_line_they_hit",
    ),
    "no lock": Mutant(
        file="store/journal.py",
        old="            locked = self._files.lock(fd)\n",
        new="            locked = True\n",
        caught="store/test_journal.py::test_a_second_writer_is_refused_at_once_and_told_who_holds_the_run",
    ),
    "half a line is left behind": Mutant(
        file="store/journal.py",
        old='b"\\n" + data if self._dirty else data',
        new="data",
        caught="store/test_journal.py::test_an_interrupted_append_does_not_spoil_the_next",
    ),
    "short writes are not noticed": Mutant(
        file="files.py",
        old="        rest = rest[taken:]",
        new="        rest = rest[:0]",
        caught="store/test_journal.py::test_no_fault_at_any_call_loses_what_was_acknowledged",
    ),
    "links are followed": Mutant(
        file="files.py",
        old='getattr(os, "O_NOFOLLOW", 0)',
        new="0",
        caught="store/test_journal.py::test_links_are_not_followed",
    ),
    "run.json is written in place": Mutant(
        file="files.py",
        old="    temporary = path.with_name(",
        new="    path.write_bytes(data[:3])\n    temporary = path.with_name(",
        caught="test_files.py::test_an_atomic_write_is_old_or_new",
    ),
    "told before it is stored": Mutant(
        file="run/runner.py",
        old="            self._tell(self._writer.append(outcomes))",
        new="            self._tell(outcomes)\n            self._writer.append(outcomes)",
        caught="run/test_runner.py::test_an_outcome_is_told_after_it_is_stored",
    ),
    "an unescaped cell": Mutant(
        file="report/text.py",
        old="    if text.isascii() and text.isprintable():",
        new="    if text.isascii():",
        caught="report/test_text.py::test_what_acts_or_hides_becomes_its_escape",
    ),
    "a breadcrumb in pieces": Mutant(
        file="run/crumb.py",
        old="        self._times[_STAMP] = time.monotonic()\n        self._words[_MEMBER] = member",
        new="        import struct\n\n        struct.pack_into('=d', self._map, 8, time.monotonic())\n"
        "        self._words[_MEMBER] = member",
        caught="run/test_crumb.py::test_a_breadcrumb_is_never_read_half_written",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_harness_is_noticed(tmp_path, name):
    """The test named for it fails with the mutant in place of the real module."""
    mutant = MUTANTS[name]
    shutil.copytree(ROOT / "kexue_bench", tmp_path / "kexue_bench", ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path / "kexue_bench" / mutant.file
    source = target.read_text(encoding="utf-8")
    assert source.count(mutant.old) == 1, "the mutant no longer fits the source"
    target.write_text(source.replace(mutant.old, mutant.new), encoding="utf-8")
    file, _, test = mutant.caught.partition("::")
    for part in ("conftest.py", "support", file):
        copy = tmp_path / "tests" / part
        copy.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if part == "support" else shutil.copy)(ROOT / "tests" / part, copy)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"tests/{file}", "-k", test],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{tmp_path / 'tests' / 'support'}", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]
    assert "failed" in done.stdout.splitlines()[-1]
