"""The parameters of an author's one test: a check of each method in each dtype."""

import pytest

from kexue_bench.errors import UsageError
from kexue_bench.testing import kexue_methods


def promised(*, dtypes=("float32", "float64")):
    """Id -> promise of the erring plugin."""
    return {str(each): each for each in kexue_methods("erring", plugins="erring.plugin", dtypes=dtypes)}


def test_every_method_has_its_checks_in_every_dtype(erring):
    """Ids are unique, claims are those that `verify` would check, and what is read has no dtype."""
    found = promised()
    assert len(found) == len(kexue_methods("erring", plugins="erring.plugin"))
    names = {name for _, name in erring.methods if (_ == "erring")}
    assert {f"{name}-{check}" for name in names for check in ("contract", "knobs", "pickling")} <= set(found)
    assert {"biased-float32-unbiased", "biased-float64-unbiased", "honest-float64-pure"} <= set(found)
    assert "wide-float32-unbiased" not in found, "it does not claim it"


def test_a_promise_raises_only_for_its_own_check(erring):
    """The same method is biased, and repeatable; another is declared off its grid."""
    found = promised(dtypes=("float32",))
    found["biased-float32-repeatable"].check()
    found["biased-contract"].check()
    with pytest.raises(AssertionError, match="drop the claim"):
        found["biased-float32-unbiased"].check()
    with pytest.raises(AssertionError, match="on the grid"):
        found["off-grid-knobs"].check()


def test_the_faults_of_other_families_are_not_its_own(erring, tmp_path, monkeypatch):
    """A family whose baseline does not exist cannot be planned; the checks of other families are as before."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "baseless.py").write_text(
        "from kexue_bench import FamilySpec, TaskSpec, hookimpl\n@hookimpl\ndef kexue_specs():\n"
        "    family = FamilySpec(name='baseless', title='B', summary='b', contract='b:B', precision_metric='mse',\n"
        "                        baseline='nobody', headline=('mse',))\n"
        "    task = TaskSpec(name='b', family='baseless', target='b:B', summary='b', version=1,\n"
        "                    suites={'quick': ('b',)})\n"
        "    return [family, task]\n"
    )
    plugins = ["erring.plugin", "baseless.py"]
    found = {str(each): each for each in kexue_methods("erring", plugins=plugins, dtypes=("float32",))}
    assert set(found) == set(promised(dtypes=("float32",)))
    with pytest.raises(AssertionError, match="drop the claim"):
        found["biased-float32-unbiased"].check()


def test_a_package_without_methods_is_refused(tmp_path, monkeypatch):
    """A parametrised test without parameters would pass in silence."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "methodless.py").write_text(
        "from kexue_bench import hookimpl\n@hookimpl\ndef kexue_specs(): return []\n"
    )
    with pytest.raises(UsageError, match="has no methods"):
        kexue_methods("methodless", plugins="methodless.py")
