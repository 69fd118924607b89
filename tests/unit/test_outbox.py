"""The pure decision of a retry."""

from __future__ import annotations

from echo_scp.outbox import retry_wait_s


def test_the_wait_doubles_up_to_the_longest():
    """However many attempts there were."""
    waits = [retry_wait_s(10, 100, attempt) for attempt in (1, 2, 3, 4, 5, 10_000)]

    assert waits == [10, 20, 40, 80, 100, 100]
