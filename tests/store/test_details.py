"""details: a side file is named by the hash of what it holds, and written once, by the driver."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from disks import FAULTS, Faulty

from kexue_bench.errors import ResultsError
from kexue_bench.store import details
from kexue_bench.store.details import digest_of, pack, write_once
from kexue_bench.store.results import RunWriter

VALUES = torch.tensor([[0.1, -2.0], [float("inf"), 5e-324]], dtype=torch.float64)
TEXT = pack({"curve": VALUES})["curve"]


def test_a_vector_comes_back_bit_for_bit():
    """Shape and little-endian float64 in base64: readable with json, base64 and numpy alone."""
    document = json.loads(TEXT)
    assert document["dtype"] == "<f8"
    data = np.frombuffer(base64.b64decode(document["data"]), "<f8").reshape(document["shape"])
    assert data.tobytes() == VALUES.numpy().tobytes()


def test_the_form_in_memory_does_not_change_the_text():
    """A transposed view, a float32 copy and a tensor of a graph hold the same numbers."""
    exact = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    forms = {"plain": exact, "view": exact.T.contiguous().T, "float32": exact.float(), "graph": exact.requires_grad_()}
    assert len(set(pack(forms).values())) == 1


def test_the_details_of_a_case_are_bounded(monkeypatch):
    """They pass through the memory of the driver; too many are an error of the case, before they are encoded."""
    monkeypatch.setattr(details, "LARGEST", 63)
    assert len(pack({"a": VALUES})) == 1
    with pytest.raises(ValueError, match="at most 63 bytes, got 64"):
        pack({"a": VALUES, "b": VALUES})


def test_a_file_is_named_by_what_it_holds(tmp_path):
    """The name is the SHA-256 of the content, so that equal vectors are one file and a damaged one is noticed."""
    write_once(tmp_path / "details", [TEXT, TEXT, "other"])
    files = list((tmp_path / "details").iterdir())
    assert len(files) == 2
    assert {hashlib.sha256(file.read_bytes()).hexdigest() for file in files} == {file.stem for file in files}


def test_what_is_there_is_not_written_again(tmp_path):
    """The next run with this vector leaves the file of the first one alone; one of another size is written anew."""
    file = tmp_path / f"{digest_of(TEXT)}.json"
    write_once(tmp_path, [TEXT])
    before = file.stat()
    write_once(tmp_path, [TEXT])
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    file.write_text("")
    write_once(tmp_path, [TEXT])
    assert file.read_text() == TEXT


def test_without_details_no_folder_is_made(tmp_path):
    """Most runs have none."""
    assert pack({}) == {}
    write_once(tmp_path / "details", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "fault"), [*FAULTS, ("replace", errno.EIO)])
def test_a_side_file_is_whole_or_the_run_ends(tmp_path, plan, kind, fault):
    """Whatever call fails, the error is one of results, and no part of a file is taken for the whole later."""
    with RunWriter.create(tmp_path, name="x", plan=plan, environment={}) as writer:
        path = writer.path
    for at in range(1, 6):
        with RunWriter(path) as writer:
            writer._files = Faulty(kind, at, fault, sticky=True)
            with contextlib.suppress(ResultsError):
                writer.keep("details", [TEXT])
            (path / "details").mkdir(exist_ok=True)
            assert {file.read_text() for file in (path / "details").iterdir()} <= {TEXT}


def test_nothing_is_written_through_a_link(tmp_path, plan):
    """A folder from elsewhere may hold links; its resume writes nothing where they point."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    with RunWriter.create(tmp_path / "results", name="x", plan=plan, environment={}) as writer:
        (writer.path / "details").symlink_to(outside)
        with pytest.raises(ResultsError):
            writer.keep("details", [TEXT])
        (writer.path / "details").unlink()
        (writer.path / "details").mkdir()
        link = writer.path / "details" / f"{digest_of(TEXT)}.json"
        link.symlink_to(outside / "mine")
        writer.keep("details", [TEXT])
    assert link.read_text() == TEXT
    assert not link.is_symlink()
    assert [(path.name, path.read_text()) for path in Path(outside).iterdir()] == [("mine", "mine")]
