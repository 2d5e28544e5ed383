"""A peer that is down is spared (R10.2)."""

from __future__ import annotations

from logspan.delivery.retry import BreakerPolicy, RetryPolicy
from logspan.outcome import Rejected, Retryable
from logspan.testing import FakeClock, InMemoryExporter
from tests.core.support import bodies
from tests.delivery.support import Kit


def test_an_open_circuit_makes_new_batches_wait_for_a_probe() -> None:
    """After so many failures in a row a batch is not tried at once; one attempt that is answered closes the circuit."""
    clock = FakeClock()
    memory = InMemoryExporter([Retryable("down")] * 3)
    kit = Kit(memory, clock, breaker=BreakerPolicy(failure_threshold=3, open_interval=60.0), max_export_batch_size=1)
    kit.put(1)
    for attempts in (1, 2, 3):
        assert memory.wait_for_attempts(attempts, 20)
        clock.wait_for_waiters(1)
        clock.advance(30)
    assert memory.wait_for(1, 20)
    assert kit.outlet.trouble is None
    kit.close()


def test_a_batch_after_one_that_was_given_up_does_not_storm() -> None:
    """While the circuit is open the next batch waits `open_interval`, and the outlet says that it is open."""
    clock = FakeClock()
    memory = InMemoryExporter([Retryable("down")] * 4)
    policy = BreakerPolicy(failure_threshold=2, open_interval=1_000.0)
    kit = Kit(memory, clock, breaker=policy, max_export_batch_size=1)
    kit.put(2)
    assert memory.wait_for_attempts(1, 20)
    while memory.attempts < 4:  # 5 s, 7.5 s, 11.25 s later, until the first batch is delivered with the fifth
        clock.wait_for_waiters(1)
        clock.advance(12)
    assert kit.outlet.trouble == "down (circuit open)"
    kit.close(0)


def test_what_the_peer_asks_for_outlives_the_batch() -> None:
    """Retry-After is about the peer: the batch after one that was given up does not go before it either (fault 7)."""
    clock = FakeClock()
    memory = InMemoryExporter([Retryable("429", retry_after=60)])
    kit = Kit(memory, clock, retry=RetryPolicy(max_elapsed_time=30), max_export_batch_size=1)
    kit.put(2)
    assert memory.wait_for_attempts(1, 20)
    clock.wait_for_waiters(1)
    assert kit.ledger.snapshot().dropped == {"retry_exhausted": 1}
    clock.advance(59)
    kit.outlet.hurry()
    assert not memory.wait_for_attempts(2, timeout=0.05)
    clock.advance(2)
    assert memory.wait_for(1, 20)
    kit.close()
    assert kit.ledger.snapshot().balanced


def test_no_shutdown_comes_before_the_time_that_the_peer_has_named() -> None:
    """What would have to wait for longer than there is time is not tried: counted, for the second batch too."""
    memory = InMemoryExporter([Retryable("429", retry_after=60)])
    kit = Kit(memory, max_export_batch_size=1)
    memory.hold()
    kit.put(3)
    assert memory.wait_for_attempts(1, 20)
    kit.outlet.finish(kit.clock.monotonic() + 0.3)
    memory.release()
    kit.close(0.3)
    assert memory.attempts == 1
    assert kit.ledger.snapshot().dropped == {"shutdown_timeout": 3}
    assert kit.ledger.snapshot().balanced


def test_a_peer_that_answers_is_not_down() -> None:
    """A refusal is an answer: it opens nothing."""
    memory = InMemoryExporter([Rejected("400")] * 5)
    kit = Kit(memory, breaker=BreakerPolicy(failure_threshold=2, open_interval=1_000.0), max_export_batch_size=1)
    kit.put(7)
    assert kit.drain()
    assert bodies(memory.records()) == [5, 6]
    kit.close()
