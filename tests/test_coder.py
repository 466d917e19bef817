"""The entropy coder: integers alone decide, and what is pushed is popped at its size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genlab import UserError
from genlab.coding import frequencies, normal
from genlab.coding.rans import HEAD_BYTES, Emptied, Stack

pytestmark = pytest.mark.thorough

BITS = frequencies.BITS


@st.composite
def distributions(draw) -> np.ndarray:
    """f32[N,K] that sum to 1, some of them as sharp as floats are."""
    levels, count = draw(st.sampled_from([2, 3, 17, 256])), draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([0.0, 1.0, 10.0, 1e3]))
    logits = scale * rng.normal(size=(count, levels))
    x = np.exp(logits - logits.max(1, keepdims=True))
    return (x / x.sum(1, keepdims=True)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(probabilities=distributions(), seed=st.integers(0, 2**32))
def test_integer_frequencies_are_all_there_and_near(probabilities, seed):
    starts = frequencies.cumulative(probabilities).astype(np.int64)
    assert (starts[:, 0] == 0).all() and (starts[:, -1] == 1 << BITS).all()
    widths = np.diff(starts, axis=1)
    assert widths.min() >= 1
    loss = (probabilities * np.log2(np.maximum(probabilities, 1e-30) * 2**BITS / widths)).sum(1)
    assert loss.max() < 5e-5  # bits of a value


@pytest.mark.parametrize("bad", [[[0.5, np.nan]], [[0.4, 0.4]], [[1.5, -0.5]]])
def test_what_is_no_distribution_is_not_coded(bad):
    with pytest.raises(UserError, match="do not sum to 1"):
        frequencies.cumulative(np.array(bad, np.float32))


@settings(max_examples=40, deadline=None)
@given(probabilities=distributions(), lends=st.booleans(), seed=st.integers(0, 2**32))
def test_what_is_pushed_is_popped_at_the_size_of_its_information(probabilities, lends, seed):
    """Any symbols, likely or not, of any distributions; in two pushes, through bytes."""
    count, levels = probabilities.shape
    values = np.random.default_rng(seed).integers(0, levels, count)
    starts = frequencies.cumulative(probabilities)
    first, widths = frequencies.intervals(starts, values)
    stack, half = Stack(lends), count // 2
    stack.push(first[half:], widths[half:], BITS)
    stack.push(first[:half], widths[:half], BITS)
    information = (BITS - np.log2(widths)).sum()
    data = stack.to_bytes()
    assert 8 * (len(data) - HEAD_BYTES) <= 1.001 * information + 32
    stack = Stack.from_bytes(data, lends)
    np.testing.assert_array_equal(stack.pop(starts, BITS), values)
    assert stack.is_done()


@settings(max_examples=30, deadline=None)
@given(probabilities=distributions(), given_words=st.integers(0, 40))
def test_popping_draws_and_pushing_gives_back(probabilities, given_words):
    """Bits-back rests on both; what an empty stack has lent, it has again."""
    stack = Stack(lends=True)
    lent = np.arange(given_words) * 2654435761 % 2**BITS
    stack.push(lent, np.ones_like(lent), BITS)
    before = stack.to_bytes()
    starts = frequencies.cumulative(probabilities)
    values = stack.pop(starts, BITS)
    stack.push(*frequencies.intervals(starts, values), BITS)
    after = stack.to_bytes()
    assert after.endswith(before[HEAD_BYTES:]) and after[:HEAD_BYTES] == before[:HEAD_BYTES]
    if not given_words:
        assert stack.is_done()


def test_popped_symbols_follow_their_distribution():
    from scipy.stats import chisquare

    p = np.array([0.5, 0.3, 0.15, 0.05], np.float32)
    starts = np.tile(frequencies.cumulative(p[None]), (4000, 1))
    counts = np.bincount(Stack(lends=True).pop(starts, BITS), minlength=4)
    assert chisquare(counts, p.astype(np.float64) / p.sum(dtype=np.float64) * 4000).pvalue > 1e-3


def test_an_empty_stack_is_not_popped():
    with pytest.raises(Emptied):
        Stack().pop(np.tile(frequencies.uniform(1, 2), (100, 1)), BITS)


def test_the_table_of_the_normal_distribution_is_right_and_rises():
    from scipy.special import ndtr

    places = np.arange(len(normal.table())) / normal.STEPS - normal.REACH
    assert np.abs(normal.table() / 2.0**normal.SCALE - ndtr(places)).max() < 1e-8
    assert (np.diff(normal.table()) >= 0).all() and (np.diff(normal.edges()) > 0).all()


@settings(max_examples=60, deadline=None)
@given(
    mean=st.floats(-1e4, 1e4, width=32) | st.floats(-4, 4, width=32),
    log_deviation=st.floats(-20, 20),
)
def test_the_buckets_of_a_normal_share_all_slots(mean, log_deviation):
    buckets = np.arange(1 << normal.BUCKETS)
    means = np.full(len(buckets), mean, np.float32)
    deviations = np.full(len(buckets), np.exp(log_deviation), np.float32)
    starts, widths = normal.intervals(buckets, means, deviations)
    assert starts[0] == 0 and widths.min() >= 1
    np.testing.assert_array_equal(starts[1:], (starts + widths)[:-1])
    assert starts[-1] + widths[-1] == 1 << normal.BITS


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (0.7, 0.3), (-2.0, 0.05), (1.0, 0.8)])
def test_a_latent_costs_its_divergence(mean, deviation):
    """Buckets drawn by the posterior's masses cost KL(N(mean, deviation) || N(0, 1)): nothing where
    the posterior is the prior. All buckets together are sure of 2**-14 of the slots."""
    buckets = np.arange(1 << normal.BUCKETS)
    given_all = (np.full(len(buckets), x, np.float32) for x in (mean, deviation))
    widths = normal.intervals(buckets, *given_all)[1] / 2.0**normal.BITS
    cost = (widths * np.log(widths * 2**normal.BUCKETS)).sum()
    divergence = 0.5 * (mean**2 + deviation**2 - 1) - np.log(deviation)
    assert abs(cost - divergence) < 2e-3


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), scale=st.sampled_from([1e-3, 0.1, 1.0, 10.0]))
def test_latents_follow_the_posterior_and_are_given_back(seed, scale):
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=200).astype(np.float32)
    deviation = (scale * rng.uniform(0.5, 2.0, 200)).astype(np.float32)
    stack = Stack(lends=True)
    found = normal.pop(stack, mean, deviation)
    stack.push(*normal.intervals(found, mean, deviation), normal.BITS)
    assert stack.is_done()
    if 0.1 <= scale <= 1.0:  # else the prior's buckets are coarse, or end before the posterior does
        z = (normal.centres()[found] - mean) / deviation
        assert abs(z[np.abs(mean) < 2].mean()) < 0.5 and 0.6 < z[np.abs(mean) < 2].std() < 1.4
