"""Stage 1, sample: the decision of the Collector's `probabilistic_sampler`, `hash_seed` mode."""

from __future__ import annotations

import ctypes
import random

import pytest

from logspan.processors.sample import TraceIdSampler
from tests.core.support import record


def fnv32a(data: bytes) -> int:
    """FNV-1a, 32 bits, from its definition, in C arithmetic."""
    value = ctypes.c_uint32(2_166_136_261)
    for byte in data:
        value.value ^= byte
        value.value *= 16_777_619
    return int(value.value)


@pytest.mark.parametrize(
    ("text", "value"), [(b"", 0x811C9DC5), (b"a", 0xE40C292C), (b"b", 0xE70C2DE5), (b"foobar", 0xBF9CF968)]
)
def test_the_reference_of_these_tests_is_right(text: bytes, value: int) -> None:
    """The published vectors of FNV-1a."""
    assert fnv32a(text) == value


def collector_keeps(trace_id: int, percentage: float, seed: int) -> bool:
    """The seed as four bytes, the least first, then the id, the highest first; fourteen bits against the share.

    The Collector multiplies in 32-bit floats.
    """
    scaled = int(ctypes.c_float(ctypes.c_float(percentage).value * ctypes.c_float(163.84).value).value)
    return fnv32a(seed.to_bytes(4, "little") + trace_id.to_bytes(16, "big")) & 0x3FFF < scaled


@pytest.mark.parametrize("percentage", [0.01, 0.1, 1, 5, 10, 12.5, 25, 33.3, 50, 66.6, 75, 90, 99.99])
@pytest.mark.parametrize("seed", [0, 1, 22, 0xFFFF_FFFF])
def test_it_keeps_the_traces_that_the_collector_keeps(percentage: float, seed: int) -> None:
    """Trace by trace, so that a trace is whole wherever in the path it is sampled."""
    sampler, source = TraceIdSampler(percentage, seed), random.Random(7)
    for _ in range(500):
        trace_id = source.getrandbits(128) or 1
        assert sampler.keeps(trace_id) == collector_keeps(trace_id, percentage, seed)


def test_the_share_of_every_percentage_is_the_collectors() -> None:
    """Rounded as there, over all percentages of two decimals."""
    different = []
    for hundredths in range(10_001):
        percentage = hundredths / 100
        scaled = int(ctypes.c_float(ctypes.c_float(percentage).value * ctypes.c_float(163.84).value).value)
        if TraceIdSampler(percentage)._kept_buckets != scaled:
            different.append(percentage)
    assert different == []


@pytest.mark.parametrize("percentage", [1, 10, 50, 90])
def test_the_share_is_right(percentage: float) -> None:
    """Within five standard deviations over 20,000 ids."""
    sampler, source, count = TraceIdSampler(percentage), random.Random(1), 20_000
    kept = sum(sampler.keeps(source.getrandbits(128) or 1) for _ in range(count))
    share = percentage / 100
    assert abs(kept - count * share) < 5 * (count * share * (1 - share)) ** 0.5


def test_all_records_of_a_trace_share_its_fate() -> None:
    """Also when traces are interleaved, and another record stands between."""
    sampler, source = TraceIdSampler(50), random.Random(3)
    ids = [source.getrandbits(128) or 1 for _ in range(50)]
    fates: dict[int, set[bool]] = {trace_id: set() for trace_id in ids}
    for _ in range(1_000):
        made = record()
        made.trace_id = source.choice([0, *ids])
        kept = sampler(made)
        if made.trace_id:
            fates[made.trace_id].add(kept)
        else:
            assert kept
    assert all(len(fate) == 1 for fate in fates.values())
    assert {kept for fate in fates.values() for kept in fate} == {True, False}


def test_none_and_all() -> None:
    """0 keeps what belongs to no trace, 100 keeps everything; the first trace is no exception."""
    none, every = TraceIdSampler(0), TraceIdSampler(100)
    for trace_id in range(1, 1_000):
        assert not none.keeps(trace_id)
        assert every.keeps(trace_id)
    assert none.keeps(0)
    assert none(record())
