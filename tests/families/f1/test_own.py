"""The user's own table and logits: what is read, how it is split, and what is refused."""

from __future__ import annotations

import math
import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics

import kexue_bench
from kexue_bench.errors import UsageError
from kexue_f1.methods.bce import BinaryCrossEntropy
from kexue_f1.tables import MOST, read_logits, read_table, split
from kexue_f1.tasks.own import OwnLogits, OwnTable, stratified


def table(n=200):
    """Two features, of which the first decides; a rare label and a common one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    rare = (x[:, 0] + 0.3 * rng.normal(size=n) > 1.1).astype(int)
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "rare": rare, "common": (x[:, 1] > -0.5).astype(int)})


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The table in both formats, and logits."""
    monkeypatch.chdir(tmp_path)
    table().to_csv("t.csv", index=False)
    table().to_parquet("t.parquet")
    rng = np.random.default_rng(1)
    labels = (rng.random(300) < 0.2).astype(int)
    np.savez("z.npz", logits=2 * labels - 2 + rng.normal(size=300), labels=labels)
    return tmp_path


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_both_formats_hold_the_same_table(files, name):
    """Features in order, without the label and what is dropped."""
    found = read_table(str(files / name))
    x, y = split(found, name, labels=("rare",), drop=("common",), positive="")
    assert x.numpy() == pytest.approx(table()[["a", "b"]].to_numpy())
    assert y[:, 0].tolist() == table()["rare"].tolist()
    x, y = split(found, name, labels=("rare", "common"), drop=(), positive="")
    assert (x.shape, y.shape) == ((200, 2), (200, 2))


def test_a_label_may_be_text_with_a_positive_value():
    """One class against the rest; truth values need no such word."""
    found = pd.DataFrame({"a": range(12), "kind": ["x"] * 5 + ["y"] * 4 + ["z"] * 3})
    _, y = split(found, "t", labels=("kind",), drop=(), positive="x")
    assert y[:, 0].tolist() == [1.0] * 5 + [0.0] * 7
    found["kind"] = found["kind"] == "x"
    assert split(found, "t", labels=("kind",), drop=(), positive="")[1][:, 0].tolist() == y[:, 0].tolist()


def test_every_part_has_its_share_of_each_label(files, context):
    """The rare items go 60 : 20 : 20 up to one; every item is in one part, and splits differ."""
    task = OwnTable(path=str(files / "t.csv"), label="rare", several=False)
    ctx = context(replicates=(0, 1, 2))
    parts = task.parts(ctx)
    hits = int(table()["rare"].sum())
    for (x, y), share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        assert x.shape == (3, round(200 * share), 3)
        assert all(abs(int(count) - hits * share) <= 1 for count in y.sum(1))
    whole = torch.cat([x for x, _ in parts], dim=1)
    assert not torch.equal(whole[0], whole[1])
    first = torch.cat([x[0, :, 0] for x, _ in parts])
    expected = np.sort(table()["a"].to_numpy())
    # Each part is standardized by the same affine map, which keeps the order.
    ranks = np.corrcoef(np.sort(first.numpy()), expected)[0, 1]
    assert ranks == pytest.approx(1, abs=1e-6)


def test_with_several_labels_the_rarest_decides_the_stratum():
    """100 items, label 1 of 10, label 0 of 50: each fifth of an order has 2 of the rare ones."""
    y = torch.zeros(100, 2)
    y[:50, 0] = 1
    y[45:55, 1] = 1
    shuffled = torch.stack([torch.randperm(100, generator=torch.Generator().manual_seed(i)) for i in range(4)])
    order = stratified(shuffled, y)
    assert [sorted(row.tolist()) for row in order] == [list(range(100))] * 4
    for fifth in y[order].unflatten(1, (5, 20)).unbind(1):
        assert fifth[:, :, 1].sum(1).tolist() == [2.0] * 4
        assert all(abs(count - 10) <= 1.5 for count in fifth[:, :, 0].sum(1).tolist())


def test_readings_of_own_logits_are_those_of_scikit_learn(files, context):
    """F1 at 0.5 and average precision on the same held-out half; a tuned threshold is at least about as good."""
    ctx = context("own-logits", replicates=tuple(range(20)))
    OwnLogits(path=str(files / "z.npz")).evaluate(BinaryCrossEntropy(), ctx)
    rows = {}
    for row in ctx.measurements:
        rows.setdefault((row.metric, row.labels.get("reading", "")), []).append(row.value)
    z, y = read_logits(str(files / "z.npz"))
    order = stratified(context("own-logits", replicates=tuple(range(20))).noise("split", stack=0).permutation(300), y)
    for i in (0, 7):
        part = order[i, 150:]
        assert rows["f1", "0.5"][i] == pytest.approx(metrics.f1_score(y[part, 0], z[part, 0] >= 0), abs=1e-12)
        expected = metrics.average_precision_score(y[part, 0], z[part, 0])
        assert rows["average-precision", ""][i] == pytest.approx(expected, abs=1e-12)
    assert np.mean(rows["f1", "tuned"]) > np.mean(rows["f1", "0.5"])


# -- what is refused --------------------------------------------------------------------------------------------------


def _frame(**columns):
    return lambda path: pd.DataFrame(columns).to_csv(path, index=False)


def _wide_parquet(path):
    import pyarrow as pa
    from pyarrow import parquet

    column = pa.DictionaryArray.from_arrays(np.zeros(MOST + 1, dtype=np.int32), pa.array([0.0]))
    parquet.write_table(pa.table({"a": column}), path)


GOOD = {"a": range(20), "label": [0, 1] * 10}
BAD_TABLES = {
    "empty.csv": (lambda path: Path(path).touch(), "empty.csv cannot be read as .csv"),
    "names.csv": (lambda path: Path(path).write_text("a,label\n"), "must have rows, got none"),
    "ragged.csv": (lambda path: Path(path).write_text("a,label\n1,0\n1,2,3,4\n"), "cannot be read as .csv"),
    "bytes.csv": (lambda path: Path(path).write_bytes(b"\xff\xfe\0\0\x81"), "cannot be read as .csv"),
    "pickle.parquet": (lambda path: Path(path).write_bytes(pickle.dumps(table())), "cannot be read as .parquet"),
    "short.parquet": (lambda path: (table().to_parquet(path), os.truncate(path, 99)), "cannot be read as .parquet"),
    "huge.parquet": (_wide_parquet, "must have at most 10,000,000 numbers"),
    "table.xlsx": (lambda path: Path(path).touch(), r"must be in a file \.csv, \.parquet, got 'table.xlsx'"),
    "other.csv": (_frame(a=range(20), labels=[0, 1] * 10), "unknown column, got 'label'; did you mean labels?"),
    "alone.csv": (_frame(label=[0, 1] * 10), "must have columns besides label"),
    "text.csv": (_frame(**GOOD, city=["Rome"] * 20), r"numbers, got \w+ in city \(such as 'Rome'\).*drop='city'"),
    "holes.csv": (_frame(a=[math.nan, *range(19)], label=[0, 1] * 10), r"no missing values, got some in a \(1\) of 20"),
    "unlabelled.csv": (_frame(a=range(20), label=[math.nan, *[0, 1] * 9, 0]), r"missing values, got some in label"),
    "inf.csv": (_frame(a=[math.inf, *range(19)], label=[0, 1] * 10), "finite numbers, got infinite ones in a"),
    "classes.csv": (_frame(a=range(20), label=[0, 1, 2, 3] * 5), "label must be 0 or 1, got 0, 1, 2, 3; say with pos"),
    "rare.csv": (_frame(a=range(20), label=[1] * 4 + [0] * 16), "at least 5 items and 0 for as many, got 4 of 20"),
    "constant.csv": (_frame(a=range(20), label=[1] * 20), "got 20 of 20"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_bad_table_is_refused_by_its_name(files, name):
    """What, got and do, in one line without the folder."""
    write, words = BAD_TABLES[name]
    write(str(files / name))
    with pytest.raises(ValueError, match=words) as caught:
        OwnTable(path=str(files / name), label="label", several=False)
    assert name in str(caught.value)
    assert str(files) not in str(caught.value)


def _arrays(**arrays):
    return lambda path: np.savez(path, **arrays)


BAD_LOGITS = {
    "empty.npz": (lambda path: Path(path).touch(), "cannot be read as .npz"),
    "pickle.npz": (_arrays(logits=np.array([{}]), labels=np.array([1])), "cannot be read as .npz"),
    "other.npz": (_arrays(scores=np.ones(20)), "arrays logits and labels, got scores"),
    "shapes.npz": (_arrays(logits=np.ones(20), labels=np.ones(19)), "must have one shape"),
    "nan.npz": (_arrays(logits=np.full(20, np.nan), labels=[0, 1] * 10), "logits must be finite, got 20"),
    "soft.npz": (_arrays(logits=np.ones(20), labels=[0.5] * 20), "labels must be 0 or 1, got 0.5"),
    "constant.npz": (_arrays(logits=np.ones(20), labels=np.ones(20)), "label 0 must be 1 for at least 5"),
    "cube.npz": (_arrays(logits=np.ones((2, 2, 2)), labels=np.ones((2, 2, 2))), "one shape"),
    "words.npz": (_arrays(logits=np.array(["a"] * 20), labels=[0, 1] * 10), "must hold numbers"),
    "columns.csv": (_frame(score=range(20), label=[0, 1] * 10), "columns logit and label, got score, label"),
    "text.csv": (_frame(logit=["x"] * 20, label=[0, 1] * 10), "must hold numbers"),
}


@pytest.mark.parametrize("name", BAD_LOGITS)
def test_bad_logits_are_refused_by_their_name(files, name):
    """As tables are."""
    write, words = BAD_LOGITS[name]
    write(str(files / name))
    with pytest.raises(ValueError, match=words) as caught:
        OwnLogits(path=str(files / name))
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("own-table[path=t.csv]", "needs the parameter 'label'"),
        ("own-table[path=t.csv,label='rare,common']", "label must name one column of t.csv"),
        ("own-labels[path=t.csv,label=rare]", "for rare use own-table"),
        ("own-table[path=t.csv,label=rare,batch=121]", "batch must lie in 1 .. 120"),
        ("own-table[path=gone.csv,label=rare]", "must name a file that exists"),
        ("own-logits[path=t.csv]", "must have the columns logit and label"),
    ],
)
def test_a_bad_request_is_an_error_of_usage(files, task, words):
    """Nothing runs and nothing is stored."""
    with pytest.raises(UsageError) as caught:
        kexue_bench.compare("f1", tasks=task, quiet=True)
    assert words in str(caught.value)
    assert not (files / "results").exists()


def test_the_question_is_answered_from_the_command_line_and_from_python(files, capsys):
    """A table and logits in one run each; a label that a linear score finds has a high F1."""
    from kexue_bench.cli.main import main

    words = ["-m", "bce", "-m", "soft-f1", "--stage", "evaluate", "-r", "2"]
    assert main(["compare", "f1", "-t", "own-table[path=t.csv,label=rare,drop=common,steps=100,lr=0.1]", *words]) == 0
    assert "own-table[path=t.csv,label=rare" in capsys.readouterr().out
    found = kexue_bench.compare(
        "f1",
        "bce",
        "own-labels[path=t.parquet,label='rare,common',steps=100,lr=0.1]",
        stages="evaluate",
        replicates=2,
        output=None,
        quiet=True,
    )
    (row,) = found.tables[0].rows
    assert row.cells["f1[reading=tuned]"].value > 0.7
    found = kexue_bench.compare(
        "f1", tasks="own-logits[path=z.npz]", stages="evaluate", replicates=5, output=None, quiet=True
    )
    (row,) = found.tables[0].rows
    assert row.label == "bce"
    assert 0.3 < row.cells["f1[reading=tuned]"].value < 1
