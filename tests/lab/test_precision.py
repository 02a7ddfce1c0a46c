"""The rule for low precision: computed in float32 or better, outside autocast, and cast back."""

from __future__ import annotations

import pytest
import torch

from kexue_bench.lab.precision import finite, precise, raised, within, working
from kexue_bench.lab.precision import seen as look


@precise
def _product(a, b, *, seen):
    seen.append((a.dtype, b.dtype, torch.is_autocast_enabled("cpu")))
    return a @ b


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("mixed", [False, True])
def test_work_is_done_in_the_working_dtype_and_cast_back(dtype, mixed):
    """Inside, operands have the working dtype and autocast is off; the result has the dtype of the first operand."""
    seen = []
    a = torch.eye(3).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
        result = _product(a, a, seen=seen)
    assert seen == [(working(dtype), working(dtype), False)]
    assert result.dtype == dtype


def test_a_tensor_of_enough_precision_is_passed_on_itself():
    """float32 and float64 tensors are not copied, and what is not a tensor is not touched."""
    for value in (torch.ones(2), torch.ones(2).double(), torch.ones(2, dtype=torch.int64), "word", None):
        assert raised(value) is value


def test_working_precision_is_float32_or_better():
    """Half precision in float32; other dtypes are their own."""
    assert {working(dtype) for dtype in (torch.float16, torch.bfloat16)} == {torch.float32}
    assert all(working(dtype) == dtype for dtype in (torch.float32, torch.float64, torch.int64, torch.complex64))


def test_a_call_without_tensors_is_left_alone():
    """A function called without a tensor is called as it is."""
    assert precise(lambda x: x)(3) == 3


def test_a_condition_is_read_where_it_has_a_value():
    """The value itself in plain code, and the alternative under `torch.func.vmap` and `torch.compile`."""
    yes, no = torch.tensor([1.0]), torch.tensor([-1.0])
    for otherwise in (False, True):
        assert [look((x > 0).all(), otherwise=otherwise) for x in (yes, no)] == [True, False]
        answers = []
        torch.func.vmap(lambda x, o=otherwise, seen=answers: seen.append(look((x > 0).all(), otherwise=o)) or x)(yes)
        assert answers == [otherwise]
        compiled = torch.compile(lambda x, o=otherwise: x if look((x > 0).all(), otherwise=o) else -x, backend="eager")
        assert float(compiled(yes)) == (1.0 if otherwise else -1.0)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_entries_are_finite_or_within_a_limit_if_every_one_is(bad, dtype):
    """One entry decides, wherever it stands; a limit itself is not below the limit."""
    x = torch.linspace(-3, 3, 7, dtype=dtype)
    assert finite(x)
    assert finite(x[:0])
    assert within(x, 3.5)
    assert not within(x, 3.0)
    for place in (0, 3, 6):
        y = x.clone()
        y[place] = bad
        assert not finite(y)
        assert not within(y, torch.inf)
        y[place] = 4.0
        assert not within(y, 4.0)
        assert not within(-y, 4.0)


def test_nothing_is_known_of_entries_that_are_not_looked_at():
    """Sums that overflow, entries under `torch.func.vmap`, and a device that would be waited for: not known to be."""
    assert not finite(torch.full((2,), torch.finfo(torch.float32).max))
    assert not finite(torch.zeros(2, device="meta"))
    assert not within(torch.zeros(2, device="meta"), 1.0)
    answers = []
    torch.func.vmap(lambda x: answers.extend((finite(x), within(x, 1.0))) or x)(torch.zeros(2, 3))
    assert answers == [False, False]
