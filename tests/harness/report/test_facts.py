from __future__ import annotations

from harness.report.facts import environment_section


def test_versions_stand_among_the_facts_and_more_facts_come_first() -> None:
    environment = {"cpu": "any", "versions": {"torch": "2.6.0"}}
    table = environment_section(environment, {"model": "tiny"}).table
    assert table is not None
    assert [[field.text for field in row] for row in table.rows] == [
        ["model", "tiny"],
        ["cpu", "any"],
        ["torch", "2.6.0"],
    ]
    assert environment["versions"] == {"torch": "2.6.0"}
