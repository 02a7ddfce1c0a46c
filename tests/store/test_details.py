"""details: a vector is a file named by the hash of what it holds, written once."""

from __future__ import annotations

import base64
import hashlib
import json

import numpy as np
import torch

from kexue_bench.store.details import write_details

VALUES = torch.tensor([[0.1, -2.0], [float("inf"), 5e-324]], dtype=torch.float64)


def test_a_vector_comes_back_bit_for_bit(tmp_path):
    """Shape and little-endian float64 in base64: readable with json, base64 and numpy alone."""
    digests = write_details({"curve": VALUES}, str(tmp_path))
    document = json.loads((tmp_path / f"{digests['curve']}.json").read_bytes())
    assert document["dtype"] == "<f8"
    data = np.frombuffer(base64.b64decode(document["data"]), "<f8").reshape(document["shape"])
    assert data.tobytes() == VALUES.numpy().tobytes()


def test_a_file_is_named_by_what_it_holds(tmp_path):
    """The name is the SHA-256 of the content, so that equal vectors are one file and a damaged one is noticed."""
    digests = write_details({"a": VALUES, "b": VALUES.clone(), "c": VALUES + 1}, str(tmp_path))
    assert digests["a"] == digests["b"] != digests["c"]
    files = list(tmp_path.iterdir())
    assert len(files) == 2
    assert {hashlib.sha256(file.read_bytes()).hexdigest() for file in files} == {file.stem for file in files}


def test_what_is_there_is_not_written_again(tmp_path):
    """The next run with this vector leaves the file of the first one alone."""
    (digest,) = write_details({"curve": VALUES}, str(tmp_path)).values()
    before = (tmp_path / f"{digest}.json").stat()
    assert write_details({"again": VALUES}, str(tmp_path)) == {"again": digest}
    after = (tmp_path / f"{digest}.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_form_in_memory_does_not_change_the_file(tmp_path):
    """A transposed view, a float32 copy and a tensor of a graph hold the same numbers."""
    exact = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    forms = {"plain": exact, "view": exact.T.contiguous().T, "float32": exact.float(), "graph": exact.requires_grad_()}
    assert len(set(write_details(forms, str(tmp_path)).values())) == 1


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    """A run that keeps no folder has no details, and no folder is made where there are none."""
    monkeypatch.chdir(tmp_path)
    assert write_details({"curve": VALUES}, "") == {}
    assert write_details({}, str(tmp_path / "details")) == {}
    assert list(tmp_path.iterdir()) == []
