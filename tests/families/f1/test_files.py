"""Data sets from the user's files: what is accepted, and what the errors say."""

from __future__ import annotations

import hashlib

import pytest
import torch

from kexue_bench.api import Case, Instance
from kexue_f1 import plugin
from kexue_f1.mulan_files import FOLDER, missing
from kexue_f1.tasks.mulan import MulanF1, load

ARFF = """% a comment
@relation example
@attribute first numeric
@attribute 'a label' {0, 1}
@attribute "second" numeric
@attribute other {0,1}

@data
2.5,1,-1e3,0
% a comment
0,0,4,1
"""
XML = """<?xml version="1.0"?>
<labels xmlns="http://mulan.sourceforge.net/labels"><label name="a label"/><label name="other"/></labels>
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with one small data set."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    (tmp_path / "toy.arff").write_text(ARFF)
    (tmp_path / "toy.xml").write_text(XML)
    return tmp_path


def test_labels_may_stand_anywhere(folder):
    """Attributes and labels keep the order of the ARFF file, even if they are interleaved."""
    x, y = load("toy", items=2, features=2, labels=2)
    assert x.tolist() == [[2.5, -1000.0], [0.0, 4.0]]
    assert y.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert x.dtype == torch.float64


def test_a_checksum_beside_the_data_must_hold(folder):
    """A checksum file in the format of `sha256sum` must match; the error states the checksum found."""
    right = hashlib.sha256((folder / "toy.arff").read_bytes()).hexdigest()
    (folder / "toy.arff.sha256").write_text(f"{right}  toy.arff\n")
    load("toy", items=2, features=2, labels=2)
    (folder / "toy.arff.sha256").write_text("0" * 64 + "  toy.arff\n")
    with pytest.raises(ValueError, match=right):
        load("toy", items=2, features=2, labels=2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("2.5,1", "2.5,2"), "labels in toy.arff must be 0 or 1"),
        (lambda text: text.replace("2.5", "?"), "every value must be a number, got row 1"),
        (lambda text: text.replace(",4,1", ",4"), "row 2 must have 4 values, got 3"),
        (lambda text: text.partition("@data")[0], "contains no data"),
        (lambda text: text.replace("other", "another"), "names labels that are not in toy.arff: other"),
        (lambda text: text + "1,1,1,1\n", r"must have \(2, 2, 2\) items, features and labels, got \(3, 2, 2\)"),
    ],
)
def test_files_in_another_format_are_refused(folder, change, says):
    """A file in another format raises a ValueError that names the file and the problem."""
    (folder / "toy.arff").write_text(change(ARFF))
    with pytest.raises(ValueError, match=says):
        load("toy", items=2, features=2, labels=2)


def test_missing_files_say_where_to_get_them(monkeypatch, tmp_path, context):
    """The loader raises, and the plan skips the case, with the same message."""
    monkeypatch.delenv(FOLDER, raising=False)
    assert "because KEXUE_MULAN is not set; unpack scene from https://mulan.sourceforge.net" in (missing("scene") or "")
    monkeypatch.setenv(FOLDER, str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no emotions.arff and emotions.xml in .*; unpack emotions from https"):
        MulanF1(name="emotions").items(context("emotions-f1"))
    task, method = (
        Instance(name="emotions-f1", target="m:C", fixed={"name": "emotions"}),
        Instance(name="bce", target="m:C"),
    )
    case = Case(family="f1", task=task, task_version=1, method=method, stage="evaluate")
    assert plugin.kexue_skip(case) == missing("emotions")


def test_a_whole_data_set_trains(monkeypatch, tmp_path, context):
    """A task on synthetic files of the right size has rows for every reading."""
    from kexue_bench.lab import stages
    from kexue_f1 import BinaryCrossEntropy

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(593, 72, generator=generator)
    y = (x[:, :6] + torch.randn(593, 6, generator=generator) > 0.5).long()
    names = [f"f{i}" for i in range(72)] + [f"l{i}" for i in range(6)]
    rows = [",".join([*(f"{v:.3f}" for v in a), *map(str, b)]) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    head = [f"@attribute {name} numeric" for name in names]
    (tmp_path / "emotions.arff").write_text("\n".join([*head, "@data", *rows]))
    (tmp_path / "emotions.xml").write_text(
        "<labels>" + "".join(f'<label name="l{i}"/>' for i in range(6)) + "</labels>"
    )
    monkeypatch.setenv(FOLDER, str(tmp_path))
    ctx = context("emotions-f1")
    stages.evaluate(MulanF1(name="emotions", steps=50), BinaryCrossEntropy(), ctx)
    found = {m.labels.get("reading"): m.value for m in ctx.measurements if m.metric == "f1-samples" and m.point is None}
    assert set(found) == {"0.5", "tuned", "half-f", "gfm"}
    assert min(found.values()) > 0.4
