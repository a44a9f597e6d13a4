"""What knowing an input is worth, against cases whose answer is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr

from frontier.errors import InputError
from frontier.ranges.knowing import bins_of, gain_of_knowing, settled_by_reading, stretches

DRAWS = 40_000


def density(at):
    return math.exp(-at * at / 2) / math.sqrt(2 * math.pi)


def normal_draws(inputs, seed=1):
    return np.random.default_rng(seed).standard_normal((DRAWS, inputs))


@pytest.mark.parametrize("mean", [0.0, 40.0, -100.0])
def test_two_actions_with_normal_gains_are_worth_the_unit_normal_loss(mean):
    """Net gain mean + 80 x + 30 y: knowing x is worth s phi(m / s) - |m| Phi(-|m| / s)."""
    x, y = normal_draws(2).T
    gain = mean + 80 * x + 30 * y
    payoff = np.column_stack((np.zeros(DRAWS), gain))
    for known, spread in ((x, 80.0), (y, 30.0)):
        expected = spread * density(mean / spread) - abs(mean) * ndtr(-abs(mean) / spread)
        found = gain_of_knowing(bins_of(known, 64), payoff)
        # Bins of 625 draws and the luck of the draws leave about a dollar of error.
        assert found == pytest.approx(expected, abs=1.2)


def test_the_share_put_right_is_the_integral_of_the_likelier_side():
    """Right is whether x + y > c: knowing x puts right E max(p(x), 1 - p(x)) of the draws."""
    x, y = normal_draws(2, seed=2).T
    chosen = (x + 0.5 * y > 0.3).astype(int)
    payoff = np.eye(2)[chosen]
    grid = np.linspace(-8, 8, 16001)
    for known, own, other in ((x, 1.0, 0.5), (y, 0.5, 1.0)):
        p = ndtr((own * grid - 0.3) / other)
        weight = np.exp(-grid * grid / 2) / math.sqrt(2 * math.pi)
        right = float(np.trapezoid(np.maximum(p, 1 - p) * weight, grid))
        prior = float(ndtr(0.3 / math.hypot(1.0, 0.5)))
        found = gain_of_knowing(bins_of(known, 64), payoff)
        assert found == pytest.approx(right - max(prior, 1 - prior), abs=0.012)


def test_an_input_that_tells_nothing_is_worth_nothing_even_with_few_draws():
    """A naive estimate would promise 10 of 100 here: the best of a bin of eight looks good."""
    rng = np.random.default_rng(3)
    found, naive = [], []
    for _ in range(40):
        payoff = np.eye(2)[(rng.random(256) < 0.4).astype(int)]
        groups = bins_of(rng.random(256), 32)
        found.append(gain_of_knowing(groups, payoff))
        sums = np.zeros((32, 2))
        np.add.at(sums, groups, payoff)
        naive.append(sums.max(axis=1).sum() / 256 - payoff.mean(axis=0).max())
    assert np.mean(naive) > 0.05
    assert np.mean(found) < 0.005


def test_no_gain_is_claimed_that_luck_may_explain():
    """Of inputs that tell nothing hardly one in a hundred passes; one that tells all still does."""
    rng = np.random.default_rng(9)
    passed = 0
    for _ in range(300):
        payoff = np.eye(2)[(rng.random(256) < 0.4).astype(int)]
        passed += gain_of_knowing(bins_of(rng.random(256), 16), payoff, errors=2.5) > 0
    assert passed <= 9
    x = rng.random(256)
    payoff = np.eye(2)[(x > 0.7).astype(int)]
    assert gain_of_knowing(bins_of(x, 16), payoff, errors=2.5) > 0.2


def test_what_two_inputs_decide_together_neither_settles_alone():
    """Right is whether x y > 0: knowing one of them leaves it as open as before."""
    x, y = normal_draws(2, seed=4).T
    payoff = np.eye(2)[(x * y > 0).astype(int)]
    for known in (x, y):
        assert gain_of_knowing(bins_of(known, 32), payoff) < 0.02


def test_knowing_never_costs_and_all_there_is_to_know_puts_everything_right():
    """The gain lies between nothing and what perfect knowledge pays."""
    rng = np.random.default_rng(5)
    x = rng.random(4000)
    payoff = np.eye(3)[np.minimum((x * 3).astype(int), 2)]
    perfect = 1.0 - payoff.mean(axis=0).max()
    # A border may lie inside a bin: then half of a sixtieth of the draws stays wrong.
    assert perfect - 0.02 < gain_of_knowing(bins_of(x, 60), payoff) <= perfect
    for _ in range(20):
        any_payoff = rng.standard_normal((128, 3))
        gain = gain_of_knowing(rng.integers(0, 9, 128), any_payoff)
        perfect = any_payoff.max(axis=1).mean() - any_payoff.mean(axis=0).max()
        assert 0.0 <= gain <= perfect


def test_a_payoff_of_another_length_is_refused():
    with pytest.raises(InputError, match="row a draw"):
        gain_of_knowing([0, 1, 2], [[1.0, 0.0]])


def test_bins_are_equally_full_and_in_order():
    values = np.random.default_rng(6).permutation(100.0 - np.arange(100))
    of = bins_of(values, 8)
    assert np.ptp(np.bincount(of)) <= 1
    assert (np.diff(of[np.argsort(values)]) >= 0).all()


def test_draws_of_one_value_are_never_told_apart():
    """A price that has not moved in most draws is one value, in one bin and in one stretch."""
    rng = np.random.default_rng(8)
    values = np.where(rng.random(400) < 0.7, 2.0, rng.uniform(1.5, 3.0, 400))
    of = bins_of(values, 16)
    assert np.unique(of[values == 2.0]).size == 1
    assert of.max() + 1 == np.unique(of).size
    for part in stretches(values, rng.integers(0, 2, 400), 2, bins=16, sure_share=0.95):
        assert part.low < part.high


def test_a_threshold_is_found_between_the_draws_beside_it():
    """Below 40 one choice, above it the other: two stretches, nothing open, border beside 40."""
    values = np.linspace(1, 101, 512)
    found = stretches(values, (values > 40).astype(int), 2, bins=512, sure_share=0.95)
    assert [one.choice for one in found] == [0, 1]
    assert found[0].high == found[1].low == pytest.approx(40, abs=0.2)
    assert sum(one.draws for one in found) == 512
    assert [one.share for one in found] == [1.0, 1.0]


def test_where_other_inputs_decide_too_it_stays_open():
    """Right is whether x plus a wide y is above 0: near 0 no choice is right in nearly all."""
    rng = np.random.default_rng(7)
    x, y = rng.uniform(-10, 10, 4000), rng.uniform(-2, 2, 4000)
    found = stretches(x, (x + y > 0).astype(int), 2, bins=40, sure_share=0.95)
    assert [one.choice for one in found] == [0, None, 1]
    # Nine draws of ten are on one side where |x| is above 1.8.
    assert found[1].low == pytest.approx(-1.8, abs=0.5)
    assert found[1].high == pytest.approx(1.8, abs=0.5)


def test_one_reading_settles_less_than_the_truth_and_more_the_closer_it_is():
    """A threshold at 40 s: a reading off by a factor leaves that factor around it open."""
    values = np.geomspace(10, 160, 801)
    chosen = (values > 40).astype(int)
    often = []
    for log_error in (0.01, 0.1, 0.4):
        found, share = settled_by_reading(values, chosen, 2, log_error=log_error, sure_share=0.95)
        assert [one.choice for one in found] == [0, None, 1]
        # The weight of the wrong side is a normal tail: 5 % of it lies beyond 1.645 deviations.
        reach = math.exp(1.645 * log_error)
        assert found[1].low == pytest.approx(40 / reach, rel=0.03)
        assert found[1].high == pytest.approx(40 * reach, rel=0.03)
        often.append(share)
    assert often == sorted(often, reverse=True)
    assert often[0] > 0.98
