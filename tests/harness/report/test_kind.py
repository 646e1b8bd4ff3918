"""A kind is found by its module being there."""

from __future__ import annotations

import pkgutil

import harness.report.kinds
from harness.report.kind import all_kinds


def test_every_module_of_the_package_is_a_kind_and_no_two_are_alike() -> None:
    kinds = all_kinds()
    modules = {module.name for module in pkgutil.iter_modules(harness.report.kinds.__path__)}
    assert {kind.name for kind in kinds} == modules
    assert [kind.order for kind in kinds] == sorted({kind.order for kind in kinds})
    files = [file for kind in kinds for file in kind.files]
    assert len(files) == len(set(files))
