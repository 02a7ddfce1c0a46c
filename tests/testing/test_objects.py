"""What the kit asks of objects, against classes that were written with one fault each."""

from dataclasses import dataclass, field, replace

import installed
import pytest

from kexue_bench.testing import objects

CONTRACT = "erring.methods:Drawing"


def wrong(findings):
    """Check -> message of the failures."""
    return {found.check: found.message for found in findings if not found.ok}


@pytest.mark.parametrize(
    ("name", "checks"),
    [("honest", set()), ("misfit", {"contract"}), ("holding", {"frozen", "pickling"}), ("off-grid", set())],
)
def test_a_method_fulfils_its_contract_and_can_be_copied(erring, name, checks):
    """As the classes of the erring plugin were written to."""
    built = objects.build(erring.methods["erring", name])
    assert set(wrong(objects.of_method(built, CONTRACT, name))) == checks


def test_a_missing_function_is_named_with_its_contract(erring):
    """Where to read what it must do."""
    found = wrong(objects.of_method(object(), CONTRACT, "it"))
    assert found["contract"] == "write `draw`, as Drawing in erring.methods has it"


def test_a_task_lacks_the_function_of_its_kind(erring):
    """As a run would refuse it."""
    spec = erring.tasks["erring", "empty"]
    assert "must have `problem`" in wrong(objects.of_task(objects.build(spec), spec, "it"))["contract"]


@dataclass(frozen=True)
class Growing:
    """Another value in every copy."""

    size: int = 1
    made: list = field(default_factory=list)

    def __deepcopy__(self, memo):
        return Growing(size=self.size + 1)


def test_a_copy_that_differs_is_shown():
    """Copies are what workers get."""
    assert "'size': 2" in wrong(objects._value(Growing(), "it"))["deepcopy"]


def test_fixed_fields_and_defaults_of_a_spec_are_built(erring):
    """As a worker builds the method by its name."""
    spec = erring.methods["erring", "honest"]
    assert objects.build(replace(spec, fixed={"scale": 2.0})).scale == 2
    assert objects.build(replace(spec, defaults={"scale": 3.0})).scale == 3
    assert objects.build(spec).scale == 1


def test_of_a_union_of_contracts_one_is_enough():
    """Operators of one kind, and methods with an operator for several; else what is missing of the nearer one."""
    for name in ("softmax", "logsumexp"):
        built = objects.build(installed.registry().methods["smoothing", name])
        assert wrong(objects.of_method(built, "kexue_smoothing.contract:Operator", name)) == {}
    found = wrong(objects.of_method(object(), "kexue_smoothing.contract:Operator", "it"))
    assert found["contract"] == "write `of`, as Surrogate in kexue_smoothing.contract has it"
