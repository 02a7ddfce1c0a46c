"""Settings of the process are compared and put back; those of a library only where it is loaded."""

import subprocess
import sys

import pytest

LIBRARIES = ("numpy", "torch", "sklearn.linear_model", "scipy.stats", "pandas")


def said(code):
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_a_library_changes_nothing():
    """Or a plugin that imports one would be blamed for it."""
    code = "from kexue_bench import settings; before = settings.snapshot()\n"
    code += "".join(f"import {name}; print('{name}', *settings.restore(before))\n" for name in LIBRARIES)
    assert said(code) == list(LIBRARIES)


@pytest.mark.parametrize("earlier", ["", "import torch, numpy\n"], ids=["imported meanwhile", "imported before"])
def test_what_a_library_is_set_to_is_put_back(earlier):
    """Also if it was loaded after the snapshot, when it still had its own defaults."""
    code = earlier + (
        "from kexue_bench import settings; before = settings.snapshot()\n"
        "import torch, numpy\n"
        "torch.set_default_dtype(torch.float64); torch.set_grad_enabled(False); numpy.seterr(all='raise')\n"
        "print('-'.join(settings.restore(before)), torch.get_default_dtype(), torch.is_grad_enabled(),\n"
        "      numpy.geterr()['under'], *settings.restore(before))\n"
    )
    assert said(code) == ["default", "dtype-grad", "mode-numpy", "errors", "torch.float32", "True", "ignore"]


def test_without_its_library_a_setting_is_not_read():
    """The desk lists and plans without torch."""
    code = "import sys; from kexue_bench import settings; print(*settings.snapshot(), 'torch' in sys.modules, sep='|')"
    names = " ".join(said(code)).split("|")
    assert {"working directory", "environment", "False"} <= set(names)
    assert not {"default dtype", "numpy errors"} & set(names)
