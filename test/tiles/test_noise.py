"""The camera's noise, from sums of squared differences of tiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.tiles.noise import (
    BASE,
    FEWEST_TILES,
    LARGEST_SIGMA,
    LEAST_WEIGHT,
    PER_SIGMA,
    NoiseEstimate,
    find_quiet_square,
)

VALUES = np.full((6, 8), 16 * 16 * 3)
EVERYTHING = np.ones((6, 8), bool)


def differences(sigma: float, moving: int, seed: int) -> np.ndarray:
    """Sums over tiles of two noisy pictures of one scene, in some tiles of which something moves."""
    rng = np.random.default_rng(seed)
    noise = np.rint(rng.normal(0, sigma, (2, 48, 768))).astype(np.int64)
    change = noise[1] - noise[0]
    change[:moving] += rng.integers(-60, 61, (moving, 768))
    return (change ** 2).sum(1).reshape(6, 8)


@pytest.mark.parametrize("sigma", [0.0, 1.0, 3.0, 6.0])
@pytest.mark.parametrize("moving", [0, 20, 40])
def test_the_noise_is_found_whatever_moves(sigma, moving):
    estimate = NoiseEstimate()
    for frame in range(60):
        estimate = estimate.after(find_quiet_square(differences(sigma, moving, frame), VALUES, EVERYTHING))
    assert estimate.sigma == pytest.approx(sigma, rel=0.06, abs=0.1)
    # Noise alone changes no tile.
    still = np.sqrt(differences(sigma, 0, 99) / VALUES)
    assert (still < estimate.threshold).all()
    assert estimate.threshold == pytest.approx(BASE + PER_SIGMA * estimate.sigma)


def test_the_first_estimates_count_alike_and_later_ones_a_tenth():
    estimate, sigmas = NoiseEstimate(), np.random.default_rng(0).uniform(0, 8, 14)
    for count, sigma in enumerate(sigmas, 1):
        before = estimate.sigma
        estimate = estimate.after(find_quiet_square(np.full((6, 8), round(2 * sigma**2 * 768)), VALUES, EVERYTHING))
        expected = sigmas[:count].mean() if count <= 1 / LEAST_WEIGHT else before + LEAST_WEIGHT * (sigma - before)
        assert (estimate.sigma, estimate.count) == (pytest.approx(expected, abs=0.01), count)


@pytest.mark.parametrize("sigma", [2.0, 4.0])
def test_one_estimate_is_enough_for_still_tiles(sigma):
    estimate = NoiseEstimate().after(find_quiet_square(differences(sigma, 40, 0), VALUES, EVERYTHING))
    assert (np.sqrt(differences(sigma, 0, 1) / VALUES) < estimate.threshold).all()


@given(st.lists(st.integers(0, 255 * 255 * 768), min_size=48, max_size=48))
def test_the_threshold_is_bounded(sums):
    estimate = NoiseEstimate()
    for _ in range(5):
        estimate = estimate.after(find_quiet_square(np.array(sums).reshape(6, 8), VALUES, EVERYTHING))
    assert BASE <= estimate.threshold <= BASE + PER_SIGMA * LARGEST_SIGMA


def test_few_tiles_tell_nothing():
    estimate, some = NoiseEstimate(2.0, 10), np.zeros((6, 8), bool)
    some.ravel()[:FEWEST_TILES - 1] = True
    assert estimate.after(find_quiet_square(differences(6.0, 0, 0), VALUES, some)) is estimate
    some.ravel()[FEWEST_TILES - 1] = True
    assert estimate.after(find_quiet_square(differences(6.0, 0, 0), VALUES, some)).sigma > 2.0


def test_tiles_that_were_not_measured_do_not_count():
    seen = np.ones((6, 8), bool)
    seen[:2] = False
    sums = differences(3.0, 0, 0)
    other = np.where(seen, sums, 0)
    assert find_quiet_square(sums, VALUES, seen) == find_quiet_square(other, VALUES, seen)
