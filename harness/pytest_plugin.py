"""A pytest plugin: `thread_safety.check(call, requests, shared=model, threads=8)` on any torch model.

Loaded by pytest in every run of an environment that has this package installed, so it imports nothing heavy
before a test asks for the fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.audit.result import AuditResult

MOST_THREADS = 64


class ThreadSafety:
    """What the fixture `thread_safety` gives a test."""

    def check(
        self,
        call: Callable[[Any], Any],
        requests: Sequence[object],
        *,
        shared: object,
        threads: int = 8,
        seconds: float = 20.0,
        allow_inconclusive: bool = False,
    ) -> AuditResult:
        """Audit `call`, compare concurrent calls with sequential ones, and fail the test unless it is SAFE.

        Args:
            call: takes one request and returns a tensor; must give the same output for the same request.
            requests: what to call it with; two or more different ones.
            shared: the object that all calls share, or a tuple of them.
            threads: how many calls run at the same time.
            seconds: about how long the audit may take.
            allow_inconclusive: let the test pass if nothing was shown to do harm, but nothing was proven either.

        Returns:
            The audit, with every write, every draw and the evidence for each.

        Raises:
            ValueError: `requests` is empty, or `threads` is not a number of threads.
        """
        __tracebackhide__ = True
        requests = tuple(requests)
        if not requests:
            raise ValueError("requests is empty; give two or more different requests")
        if not 1 <= threads <= MOST_THREADS:
            raise ValueError(f"threads={threads}: expected 1 to {MOST_THREADS}")
        from harness.audit.auditor import audit  # noqa: PLC0415 - imports torch
        from harness.audit.table import audit_lines  # noqa: PLC0415
        from harness.errors import ReferenceFailedError  # noqa: PLC0415
        from harness.subject import Subject  # noqa: PLC0415

        roots = shared if isinstance(shared, tuple) else (shared,)
        subject = Subject("thread-safety", call, roots, requests)
        try:
            result = audit(subject, requests, threads=threads, budget=seconds)
        except ReferenceFailedError as error:
            pytest.fail(str(error), pytrace=False)
        if result.verdict == "SAFE" or (result.verdict == "INCONCLUSIVE" and allow_inconclusive):
            return result
        pytest.fail("\n".join(audit_lines(result)), pytrace=False)


@pytest.fixture
def thread_safety() -> ThreadSafety:
    """Check that a model may be called from several threads at once."""
    return ThreadSafety()
