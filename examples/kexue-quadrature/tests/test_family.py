"""What kexue-bench asks of a family, its methods and its tasks, and their speed."""

import pytest

from kexue_bench.testing import check_family, check_task, complain, kexue_methods
from kexue_quadrature.tasks import Integral, RandomIntegral


def test_the_family_names_what_exists():
    """Contract, baseline, columns, and a task in quick."""
    complain(check_family("quadrature"))


@pytest.mark.parametrize("task", [Integral(points=33), RandomIntegral()], ids=lambda task: type(task).__name__)
def test_the_task_keeps_what_a_task_must(task):
    """It can be measured and timed, twice with the same numbers; a failure says what to change."""
    complain(check_task(task, "quadrature"))


@pytest.mark.parametrize(
    "promise", kexue_methods("kexue_quadrature", tasks=["integral[points=33]", "random-integral"]), ids=str
)
def test_its_methods_keep(promise):
    """Contract, docstring, copies, and every claim in two dtypes; a failure says what to change."""
    promise.check()


@pytest.mark.kexue_case("quadrature", tasks="integral")
def test_speed(kexue_case, benchmark):
    """The call that `kexue-bench compare` times."""
    kexue_case(benchmark)
