"""Where a run took place, as the section that ends every part of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.page import Field, Section, Table

if TYPE_CHECKING:
    from collections.abc import Mapping


def environment_section(environment: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> Section:
    """Return the folded section about machine and versions; `more` facts come first."""
    facts = {**(more or {}), **environment}
    facts.update(facts.pop("versions", {}))
    rows = tuple((Field(str(name)), Field(str(value))) for name, value in facts.items())
    return Section("Environment", table=Table(("What", "Value"), rows), folded=True)
