"""Metrics of sets against references, closed forms and brute force."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mutual_info_score
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors

from genlab.metrics import distances, frechet, neighbours, resampled, two_sample


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def pair(rng):
    """Two overlapping sets of unequal counts, far from 0."""
    return rng.normal(5, 1, (70, 6)), rng.normal(5.5, 1.3, (50, 6))


def test_the_frechet_distance_of_gaussians_is_the_closed_form(rng):
    a, b, s, t = rng.normal(size=5), rng.normal(size=5), rng.random(5) + 0.1, rng.random(5) + 0.1
    wanted = ((a - b) ** 2).sum() + ((np.sqrt(s) - np.sqrt(t)) ** 2).sum()
    found = frechet.frechet_of_gaussians(a, np.diag(s), b, np.diag(t))
    assert found == pytest.approx(wanted)
    assert frechet.frechet_of_gaussians(a, np.diag(s), b, np.diag(s)) == pytest.approx(
        ((a - b) ** 2).sum()
    )


def test_the_frechet_distance_of_sets_is_scipys(pair):
    a, b = pair
    s, t = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(s @ t).real
    wanted = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t - 2 * root)
    assert frechet.frechet(a, b) == pytest.approx(wanted)
    assert frechet.frechet(a, a) == pytest.approx(0.0, abs=1e-9)
    assert frechet.frechet(b, a) == pytest.approx(wanted)


def test_dead_features_do_not_harm_the_frechet_distance(pair):
    dead = [np.c_[x, np.zeros((len(x), 3))].astype(np.float32) for x in pair]
    assert frechet.frechet(*dead) == pytest.approx(frechet.frechet(*pair), rel=1e-4)


def test_the_frechet_distance_of_a_large_set_nears_that_of_its_law(rng):
    a, b = rng.normal(0, 1, (20_000, 3)), rng.normal(1, 2, (20_000, 3))
    assert frechet.frechet(a, b) == pytest.approx(3 * (1 + 1), rel=0.03)


def test_the_kernel_distance_is_the_double_sum(pair):
    a, b = pair[0][:9], pair[1][:7]
    kernel = lambda x, y: (float(x @ y) / 6 + 1) ** 3  # noqa: E731
    own = [
        np.mean([kernel(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j])
        for s in (a, b)
    ]
    wanted = sum(own) - 2 * np.mean([kernel(x, y) for x in a for y in b])
    assert distances.squared_mmd(a, b) == pytest.approx(wanted)
    np.testing.assert_allclose(
        polynomial_kernel(a, b, degree=3, gamma=1 / 6, coef0=1),
        [[kernel(x, y) for y in b] for x in a],
    )


def test_the_kernel_distance_is_unbiased_and_has_its_deviation(rng):
    same = [rng.normal(size=(1000, 8)) for _ in range(2)]
    mean, deviation = distances.kernel_distance(*same, subsets=200, size=100)
    assert abs(mean) < 4 * deviation / np.sqrt(20) and deviation > 0
    again = [distances.kernel_distance(*same, seed=i, size=100) for i in (0, 0, 1)]
    assert again[0] == again[1] != again[2]
    far, spread = distances.kernel_distance(same[0], same[1] + 1, size=100)
    assert far > 5 * spread
    few = [x[:5] for x in same]
    assert np.isfinite(distances.kernel_distance(*few)).all()


def brute(real, found, k):
    """Precision, recall, density, coverage, one point at a time."""
    far = lambda x, y: float(np.linalg.norm(x - y))  # noqa: E731

    def radii(points):
        return [
            sorted(far(x, y) for j, y in enumerate(points) if j != i)[k - 1]
            for i, x in enumerate(points)
        ]

    r, f = radii(real), radii(found)
    inside = [[far(x, y) < r[i] for y in found] for i, x in enumerate(real)]
    precision = np.mean([any(row[j] for row in inside) for j in range(len(found))])
    recall = np.mean([any(far(x, y) < f[j] for j, y in enumerate(found)) for x in real])
    density = sum(map(sum, inside)) / (k * len(found))
    return precision, recall, density, np.mean([any(row) for row in inside])


def measured(real, found, k=3, balls=5):
    """The metrics of neighbourhoods, by name."""
    return neighbours.neighbourhoods(neighbours.Reference.of(real, balls), found, k).metrics()


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_recall_density_and_coverage_are_brute_forces(pair, k, monkeypatch):
    monkeypatch.setattr(neighbours, "CHUNK", 16)  # several chunks, the last one not full
    wanted = brute(*pair, k)
    assert min(wanted) > 0.0
    found = measured(*pair, k, k)
    assert list(found.values())[:4] == pytest.approx(wanted)


def brute_clipped(real, found, k):
    """Clipped density and coverage as Salvy et al. (arXiv 2507.01761) define them, one point at a
    time, with scikit-learn's neighbours and scipy's beta-binomial."""
    n, m = len(real), len(found)
    own_far, own_place = NearestNeighbors(n_neighbors=k + 1).fit(real).kneighbors(real)
    own_far, own_place = own_far[:, 1:], own_place[:, 1:]
    radii = own_far[:, -1]
    short = np.minimum(radii, np.median(radii))
    balls = [
        sum(np.linalg.norm(x - y) <= r for x, r in zip(real, short, strict=True)) for y in found
    ]
    of_real = [sum(j in own_place[i][own_far[i] <= short[i]] for i in range(n)) for j in range(n)]
    share = lambda counts: np.mean([min(c / k, 1) for c in counts])  # noqa: E731
    density = min(share(balls) / share(of_real), 1)
    far = NearestNeighbors(n_neighbors=k).fit(found).kneighbors(real)[0]
    filled = np.mean(far < radii[:, None])
    law = lambda good: sum(  # noqa: E731
        min(j, k) / k * scipy.stats.betabinom.pmf(j, good, k, n - k) for j in range(good + 1)
    )
    expected = [law(good) if good >= k else 0.0 for good in range(m + 1)]
    return density, np.searchsorted(expected, filled) / (m + 1)


@pytest.mark.parametrize("k", [2, 5])
def test_clipped_density_and_coverage_are_brute_forces(pair, k, monkeypatch):
    monkeypatch.setattr(neighbours, "CHUNK", 16)
    found = measured(*pair, 1, k)
    wanted = brute_clipped(*pair, k)
    assert min(wanted) > 0.0 and max(wanted) < 1.0
    assert (found["clipped_density"], found["clipped_coverage"]) == pytest.approx(wanted)


@pytest.mark.parametrize(
    "seed, shape, shift, wanted",
    [
        (0, (200, 200, 8), 0.0, (0.4877126654064271, 0.5124378109452736)),
        (1, (151, 240, 3), 1.0, (0.2818993506493507, 0.24066390041493776)),
    ],
)
def test_clipped_metrics_are_those_of_their_authors_code(seed, shape, shift, wanted):
    """`wanted` is what github.com/nicolassalvy/ClippedDensityCoverage says of these points."""
    (n, m, d), rng = shape, np.random.default_rng(seed)
    real, found = rng.normal(size=(n, d)), rng.normal(shift, 1.2, (m, d))
    found[: m // 5] += 30  # bad ones
    metrics = measured(real, found)
    assert (metrics["clipped_density"], metrics["clipped_coverage"]) == pytest.approx(wanted)


def test_clipped_metrics_fall_by_the_share_of_bad_samples(rng):
    """What they are made for; 1.0, where nothing is bad, may be missed by chance alone."""
    real, good = rng.normal(size=(2, 800, 4))
    for share in (0.0, 0.25, 0.5, 1.0):
        mixed = good.copy()
        mixed[: int(800 * share)] = 100 + rng.normal(size=(int(800 * share), 4))
        found = measured(real, mixed)
        for name in ("clipped_density", "clipped_coverage"):
            assert found[name] == pytest.approx(1 - share, abs=0.07), (name, share)


def test_real_outliers_do_not_make_bad_samples_good(rng):
    """One far point has a ball that holds everything: precision calls all of it good."""
    real = np.concatenate([rng.normal(size=(200, 4)), [[300.0] * 4] * 1])
    bad = 150 + rng.normal(size=(200, 4))
    found = measured(real, bad)
    assert found["precision"] > 0.95 and found["clipped_density"] < 0.05


def test_equal_sets_are_covered_and_far_ones_are_not(rng):
    a = rng.normal(size=(200, 4))
    assert list(measured(a, a).values()) == pytest.approx([1.0] * 6)
    assert set(measured(a, a + 100).values()) == {0.0}


def test_dropped_modes_cost_recall_and_outliers_cost_precision(rng):
    real = np.concatenate([rng.normal(0, 1, (200, 3)), rng.normal(50, 1, (200, 3))])
    one_mode = rng.normal(0, 1, (400, 3))
    found = measured(real, one_mode)
    assert found["precision"] > 0.8 and found["recall"] == pytest.approx(0.5, abs=0.1)
    assert found["coverage"] == pytest.approx(0.5, abs=0.1)
    assert found["clipped_coverage"] == pytest.approx(0.5, abs=0.1)
    found = measured(one_mode, real)
    assert found["precision"] == pytest.approx(0.5, abs=0.1) and found["recall"] > 0.8


def test_distances_to_neighbours_are_scikit_learns(pair):
    a, _ = pair
    far, place = NearestNeighbors(n_neighbors=4).fit(a).kneighbors(a)  # itself first
    found = neighbours.nearest_others(a, 3)
    np.testing.assert_allclose(np.sqrt(found[0]), far[:, 1:])
    np.testing.assert_array_equal(found[1], place[:, 1:])


def test_the_extrapolated_distance_is_the_line_through_subsets(pair):
    """Chong and Forsyth (arXiv 1911.07023): a regression on 1/N, taken at 0, by scikit-learn."""
    a, b = pair
    counts = np.linspace(25, 50, 15).astype(int)  # from half to all of the smaller set
    rng, values = np.random.default_rng(3), []
    for count in counts:
        x, y = (s[rng.permutation(len(s))[:count]] for s in (a, b))
        root = scipy.linalg.sqrtm(np.cov(x.T) @ np.cov(y.T)).real
        spread = np.trace(np.cov(x.T) + np.cov(y.T) - 2 * root)
        values.append(((x.mean(0) - y.mean(0)) ** 2).sum() + spread)
    line = LinearRegression().fit(1 / counts[:, None], values)
    assert frechet.frechet_at_infinity(a, b, seed=3) == pytest.approx(line.intercept_)


def test_the_extrapolated_distance_is_nearer_to_that_of_the_laws(rng):
    for shift, scale in ((0.0, 1.0), (0.3, 1.2)):
        wanted = 10 * (shift**2 + (scale - 1) ** 2)
        raw, extrapolated = [], []
        for i in range(16):
            a, b = rng.normal(size=(200, 10)), rng.normal(shift, scale, (200, 10))
            raw.append(frechet.frechet(a, b) - wanted)
            extrapolated.append(frechet.frechet_at_infinity(a, b, i) - wanted)
        assert np.mean(raw) > 0.2 and abs(np.mean(extrapolated)) < np.mean(raw) / 2


def test_standard_errors_are_those_of_repeated_draws(rng):
    """Of both ways, against the deviation over new sets; neighbours by subsets, as copies harm."""
    draw = lambda: (rng.normal(size=(80, 3)), rng.normal(0.3, 1.1, (80, 3)))  # noqa: E731
    ways = {
        "frechet": (lambda a, b: {"frechet": frechet.frechet(a, b)}, resampled.bootstrap, (80, 80)),
        "coverage": (measured, resampled.subsets, (80,)),
        "density": (measured, resampled.subsets, (80,)),
    }
    for name, (metric, way, sizes) in ways.items():
        wanted = np.std([metric(*draw())[name] for _ in range(60)])
        found = []
        for seed in range(4):
            a, b = draw()
            errors = way(lambda i, j: metric(a[i], b[j]), *sizes, 25, seed)  # noqa: B023
            found.append(errors[name])
        assert 0.7 < np.mean(found) / wanted < 1.7, name


def test_the_class_score_is_the_information_of_image_and_class(rng):
    labels = rng.integers(0, 4, 300)
    sure = np.eye(4)[labels]
    wanted = np.exp(mutual_info_score(labels, np.arange(300)))
    assert distances.class_score(sure) == pytest.approx(wanted)
    assert distances.class_score(np.full((10, 4), 0.25)) == pytest.approx(1.0)
    assert distances.class_score(np.eye(4)) == pytest.approx(4.0)
    shares = distances.label_shares(sure)
    np.testing.assert_allclose(shares, np.bincount(labels) / 300)
    assert distances.entropy(shares) == pytest.approx(scipy.stats.entropy(shares))
    assert distances.entropy(np.array([1.0, 0.0])) == 0.0


TESTS = {"discriminator": two_sample.discriminator_test, "nn": two_sample.nearest_neighbour_test}


@pytest.mark.parametrize("name", TESTS)
def test_two_sample_tests_are_blind_to_equal_laws_and_see_a_shift(name, rng):
    test = TESTS[name]
    found = [test(rng.normal(size=(60, 3)), rng.normal(size=(60, 3)), i) for i in range(30)]
    accuracy, p = np.mean(found, 0)
    assert accuracy == pytest.approx(0.5, abs=0.05)
    assert 0.3 < p < 0.75 and min(x for _, x in found) > 1e-4  # none falsely certain
    accuracy, p = test(rng.normal(size=(200, 3)), rng.normal(size=(250, 3)) + 3)
    assert accuracy > 0.95 and p < 1e-10


def test_the_nearest_image_is_scikit_learns_and_a_copy_is_at_zero(rng):
    train_set = rng.integers(0, 256, (50, 4, 4, 3), np.uint8)
    images = rng.integers(0, 256, (9, 4, 4, 3), np.uint8)
    images[2] = train_set[33]
    parts = [train_set[:20], train_set[20:21], train_set[21:]]
    nearest = two_sample.Nearest(two_sample.flat(images))
    for part in parts:
        nearest.see(two_sample.flat(part))
    far, place = nearest.far, nearest.place
    flat = [x.reshape(len(x), -1) / 255 for x in (train_set, images)]
    wanted = NearestNeighbors(n_neighbors=1).fit(flat[0]).kneighbors(flat[1])
    np.testing.assert_allclose(far, wanted[0][:, 0], atol=1e-5)
    np.testing.assert_array_equal(place, wanted[1][:, 0])
    assert far[2] == 0.0 and place[2] == 33


def test_copies_are_told_from_held_out_images(rng):
    far = rng.random(300) + 1.0
    assert two_sample.memorisation_test(far[:150] * 0.5, far[150:]) < 1e-10
    assert two_sample.memorisation_test(far[:150], far[150:]) > 0.01
    assert two_sample.memorisation_test(far[:150] * 2, far[150:]) > 0.99
