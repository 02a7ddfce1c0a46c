import hashlib

import pytest
import torch
from sklearn import datasets

from kexue_bench.errors import UnknownNameError
from kexue_bench.lab.context import Context
from kexue_bench.lab.data import NAMES, load, loaded

# Published sizes: UCI repository entries of the four sets.
SHAPES = {"digits": (1797, 64, 10), "breast_cancer": (569, 30, 2), "wine": (178, 13, 3), "iris": (150, 4, 3)}


@pytest.mark.parametrize("name", NAMES)
def test_data_are_the_published_numbers(name):
    """Inputs and targets are scikit-learn's, in float64 and int64, of the published size."""
    n, d, classes = SHAPES[name]
    data, source = load(name), getattr(datasets, f"load_{name}")()
    assert data["inputs"].shape == (n, d)
    assert (data["inputs"].dtype, data["targets"].dtype) == (torch.float64, torch.int64)
    assert torch.equal(data["inputs"], torch.from_numpy(source.data).double())
    assert torch.equal(data["targets"], torch.from_numpy(source.target).long())
    assert data["targets"].unique().tolist() == list(range(classes))


def test_data_are_read_once():
    """A second load gives the same tensors, which nothing in between has changed."""
    first = load("iris")
    digest = hashlib.sha256(first["inputs"].numpy().tobytes()).digest()
    assert Context.data(None, "iris") is first
    assert hashlib.sha256(load("iris")["inputs"].numpy().tobytes()).digest() == digest
    with pytest.raises(TypeError):
        first["inputs"] = None


def test_unknown_data_set_names_the_nearest():
    """A misspelt name is answered with the likely one."""
    with pytest.raises(UnknownNameError, match="did you mean digits"):
        load("digit")


def test_what_was_loaded_is_told():
    """The shared tensors themselves, each once, so that one who writes to them can be found."""
    inputs = load("wine")["inputs"]
    assert sum(tensor is inputs for tensor in loaded()) == 1
