"""The conformance kit: what a method, a task or a family must keep, checked in an author's own tests.

Example::

    from kexue_bench.testing import check_method, complain, kexue_methods

    def test_mine():
        complain(check_method(Mine(), plugins="my_package.plugin"))

    @pytest.mark.parametrize("promise", kexue_methods("my_package"), ids=str)
    def test_promises(promise):
        promise.check()

Names load on first use: importing this package imports neither torch nor pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kexue_bench.exports import lazy

if TYPE_CHECKING:
    from .findings import Finding as Finding
    from .findings import complain as complain
    from .kit import check_family as check_family
    from .kit import check_method as check_method
    from .kit import check_package as check_package
    from .kit import check_task as check_task
    from .promises import kexue_methods as kexue_methods

__getattr__, __dir__ = lazy(__name__)
