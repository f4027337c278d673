"""Weighted mean and standard deviation of columns, and the largest values."""

import math
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from sknn_simple._data.moments import column_moments
from sknn_simple._data.row_blocks import BlockSizes, RowBlocks
from sknn_simple._data.threads import Workers

CONTAINERS = {"dense": np.asarray, "sparse": sparse.csr_array}
# Blocks of at most 16 rows, a share for every multiply-add, and few differences.
SMALL = BlockSizes(
    values_per_column=0,
    block_bytes=1,
    min_rows=16,
    share_work=1.0,
    difference_bytes=8 * 5,
)
EVERY = pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)


def weights(n_rows, seed=0):
    weight = np.random.default_rng(seed).uniform(0.1, 1.0, n_rows)
    return weight / weight.sum()


def row_blocks(X, weight, sizes=SMALL, kind=RowBlocks):
    y = np.zeros(len(weight))
    return kind(X, y, weight, row_bytes=8, work=1e9, sizes=sizes)


def moments_of(blocks, n_threads=1):
    with Workers(n_threads) as workers:
        return column_moments(blocks, workers)


@pytest.fixture(scope="module", params=[1000, 3], ids=["of all", "of few"])
def moments(request):
    """Return a function whose first shift is the mean of all rows, or of a few."""
    sizes = SMALL._replace(sample_rows=request.param)

    def run(X, weight, n_threads=1):
        return moments_of(row_blocks(X, weight, sizes), n_threads)

    return run


def exact_moments(x, weight):
    """μ and σ of one column in rational arithmetic, rounded once."""
    xs, ws = [Fraction(float(v)) for v in x], [Fraction(float(v)) for v in weight]
    pairs, zero = list(zip(xs, ws, strict=True)), Fraction(0)
    mean = sum((wi * xi for xi, wi in pairs), zero) / sum(ws, zero)
    terms = (wi * (xi - mean) * (xi - mean) for xi, wi in pairs)
    square = sum(terms, zero) / sum(ws, zero)
    # Scaled by 4ᵏ into the range of floats, so that its root can be taken.
    k = (square.numerator.bit_length() - square.denominator.bit_length()) // 2
    return float(mean), math.ldexp(math.sqrt(square * Fraction(4) ** -k), k)


def assert_exact(found, X, weight, rtol=1e-12):
    mean, deviation = found
    for j, column in enumerate(X.T):
        expected_mean, expected_deviation = exact_moments(column, weight)
        size = float(np.abs(column).max())
        assert mean[j] == pytest.approx(expected_mean, rel=rtol, abs=1e-14 * size)
        assert deviation[j] == pytest.approx(expected_deviation, rel=rtol, abs=0.0)


@EVERY
@pytest.mark.parametrize("n_rows", [1, 2, 16, 17, 200])
def test_moments_are_numpys(moments, container, n_rows):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, 4)) * rng.integers(0, 2, (n_rows, 4))
    weight = weights(n_rows)
    mean, deviation = moments(container(X), weight)
    expected = np.average(X, axis=0, weights=weight)
    np.testing.assert_allclose(mean, expected, rtol=1e-13, atol=1e-15)
    expected = np.sqrt(np.average((X - expected) ** 2, axis=0, weights=weight))
    np.testing.assert_allclose(deviation, expected, rtol=1e-13, atol=1e-15)
    assert mean.dtype == deviation.dtype == np.float64


@EVERY
@pytest.mark.parametrize("size", [1.0, 1e-100, 1e99, 1e-130, 1e-20, 1e20])
def test_columns_of_any_size(moments, container, size):
    rng = np.random.default_rng(0)
    X = size * rng.standard_normal((50, 2)) * rng.integers(0, 2, (50, 2))
    assert_exact(moments(container(X), weights(50)), X, weights(50))


@EVERY
@pytest.mark.parametrize("size", [1e-142, 1e-200, 1e-322])
def test_smaller_deviations_count_as_0(moments, container, size):
    X = size * np.random.default_rng(0).integers(0, 3, (50, 2)).astype(float)
    X[:, 1] /= size
    mean, deviation = moments(container(X), weights(50))
    assert deviation[0] == 0.0
    assert X[:, 0].min() <= mean[0] <= X[:, 0].max()
    assert_exact((mean[1:], deviation[1:]), X[:, 1:], weights(50))


@EVERY
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("n_huge", [1, 50])
@pytest.mark.parametrize("value", [1.1e100, -1e200, 1e300, -np.finfo(float).max])
def test_a_column_with_a_huge_value_is_named(
    moments, container, value, n_huge, n_threads
):
    """The first such column, with its value that is largest in size."""
    X = np.random.default_rng(0).standard_normal((50, 5))
    X[:n_huge, 2] = value
    X[-1, 2] = value / 1.05
    X[7, 4] = 1e250
    with pytest.raises(ValueError, match="Column 2 of X has the value") as caught:
        moments(container(X), weights(50), n_threads)
    assert f"has the value {value:g}." in str(caught.value)


@EVERY
@pytest.mark.parametrize("weight", [0.0, 1e-300])
def test_a_huge_value_in_a_row_of_small_weight_is_refused(moments, container, weight):
    X, weight_of_rows = np.ones((50, 2)), weights(50)
    X[3, 1], weight_of_rows[3] = 1e101, weight
    with pytest.raises(ValueError, match="Column 1 of X has the value 1e\\+101"):
        moments(container(X), weight_of_rows)


@EVERY
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_of_small_weight_do_not_make_others_huge(moments, container, dtype):
    X = np.random.default_rng(0).standard_normal((50, 2)).astype(dtype)
    X[3, 1] = 1e38
    weight = weights(50)
    weight[[5, 8]] = 0.0, 1e-300
    weight /= weight.sum()
    assert_exact(moments(container(X), weight), X, weight)


@EVERY
@pytest.mark.parametrize("shift", [1.0, -1e4, 1e8])
@pytest.mark.parametrize("seed", range(5))
def test_columns_far_from_zero(moments, container, shift, seed):
    """σ keeps its digits however far the column is from 0."""
    X = shift + np.random.default_rng(seed).standard_normal((200, 2))
    weight = weights(200, seed)
    assert_exact(moments(container(X), weight), X, weight)


@EVERY
@pytest.mark.parametrize("n_odd", [1, 400])
def test_a_mean_far_from_the_chosen_rows_takes_a_second_pass(container, n_odd):
    """The shift comes from every 400th row. These are 0, and far from the others."""
    passes = []

    class Counted(RowBlocks):
        def sum(self, *args, **kwargs):
            passes.append(self)
            return super().sum(*args, **kwargs)

    rng = np.random.default_rng(0)
    X = 1e3 + rng.standard_normal((800, 1))
    X[::400] *= 0.0
    if n_odd > 1:
        X[200:600] = 0.0
    weight = np.full(800, 1.0 / 800.0)
    sizes = SMALL._replace(sample_rows=2)
    blocks = row_blocks(container(X), weight, sizes, Counted)
    assert_exact(moments_of(blocks), X, weight, rtol=1e-14)
    assert len(passes) == (2 if n_odd == 1 else 1)


@EVERY
@pytest.mark.parametrize("n_rows", [1, 3, 100])
@pytest.mark.parametrize(
    "value", [0.0, -0.0, 0.1, -1e8 / 3, 1e-300, 5e-324, 1e90 / 3, 1e100]
)
def test_a_constant_column_has_deviation_0(moments, container, value, n_rows):
    """Exactly 0, although the mean is rounded: fits find constant columns by σ = 0."""
    other = np.random.default_rng(0).standard_normal(n_rows)
    X = np.column_stack([np.full(n_rows, value), other])
    mean, deviation = moments(container(X), weights(n_rows))
    assert deviation[0] == 0.0
    assert mean[0] == value
    assert deviation[1] > 0.0 or n_rows == 1


@EVERY
def test_nearly_constant_is_not_constant(moments, container):
    X = np.full((100, 1), 0.1)
    X[50:] += 64 * np.spacing(0.1)
    assert_exact(moments(container(X), weights(100)), X, weights(100), rtol=1e-3)


@EVERY
@pytest.mark.parametrize(
    ("n_terms", "dtype"),
    [(3, np.float32), (30, np.float32), (3, np.float64), (1000, np.float64)],
)
def test_constant_but_for_rounding_is_constant(moments, container, n_terms, dtype):
    shares = np.random.default_rng(0).dirichlet(np.ones(n_terms), 50).astype(dtype)
    shares /= shares.sum(axis=1, keepdims=True)
    total = np.zeros(50, dtype)
    for share in shares.T:  # one after the other: the largest rounding errors
        total += share
    assert len(np.unique(total)) > 1
    mean, deviation = moments(container(total[:, None]), weights(50))
    assert deviation[0] == 0.0
    assert mean[0] == pytest.approx(1.0, rel=1e-4)


def test_empty_columns_of_sparse_data_have_deviation_0(moments):
    X = sparse.csr_array((30, 5))
    mean, deviation = moments(X, weights(30))
    assert mean.tolist() == deviation.tolist() == [0.0] * 5


@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
def test_stored_zeros_and_unsorted_columns_change_nothing(
    moments, container, index_dtype
):
    rng = np.random.default_rng(0)
    dense = rng.standard_normal((60, 4)) * rng.integers(0, 2, (60, 4)) + 3.0
    dense[:, 3] = 0.0
    X = container(np.where(dense == 0.0, 1.0, dense))
    X.data[X.data == 1.0] = 0.0
    X.indices = X.indices.reshape(60, 4)[:, ::-1].ravel().astype(index_dtype)
    X.data = X.data.reshape(60, 4)[:, ::-1].ravel()
    X.indptr = X.indptr.astype(index_dtype)
    found, expected = moments(X, weights(60)), moments(dense, weights(60))
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@EVERY
def test_moments_have_the_same_bits_on_any_number_of_threads(moments, container):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 6)) * 10.0 ** rng.integers(-9, 9, 6)
    one, two, three = (moments(container(X), weights(300), n) for n in (1, 2, 3))
    np.testing.assert_array_equal(two, one)
    np.testing.assert_array_equal(three, one)


def test_threads_do_not_write_into_each_others_differences():
    sizes = SMALL._replace(min_rows=2000, difference_bytes=2**20)
    X = np.random.default_rng(0).standard_normal((100_000, 20))
    blocks = row_blocks(X, weights(len(X)), sizes)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        one, three = (moments_of(blocks, n_threads) for n_threads in (1, 3))
    finally:
        sys.setswitchinterval(interval)
    np.testing.assert_array_equal(three, one)


@EVERY
def test_single_precision_data_have_double_precision_moments(moments, container):
    X = (1e4 + np.random.default_rng(0).standard_normal((80, 3))).astype(np.float32)
    assert_exact(moments(container(X), weights(80)), X, weights(80))


@EVERY
def test_weights_are_repeated_rows(moments, container):
    rng = np.random.default_rng(0)
    X, counts = 5.0 + rng.standard_normal((40, 3)), rng.integers(1, 5, 40)
    total = counts.sum()
    repeated = np.repeat(X, counts, axis=0)
    found = moments(container(X), counts / total)
    expected = moments(container(repeated), np.full(total, 1.0 / total))
    np.testing.assert_allclose(found, expected, rtol=1e-13)


# Halves and quarters of moderate size: numbers that may repeat, cancel and be 0.
MATRICES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 40), st.integers(1, 4)),
    elements=st.integers(-40, 40).map(lambda i: i / 4.0),
)


@given(MATRICES, st.integers(0, 100))
def test_sparse_is_dense(moments, X, seed):
    weight = weights(len(X), seed)
    dense, compressed = moments(X, weight), moments(sparse.csr_array(X), weight)
    np.testing.assert_allclose(compressed[0], dense[0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(compressed[1], dense[1], rtol=1e-9, atol=1e-13)
    np.testing.assert_array_equal(compressed[1] == 0.0, dense[1] == 0.0)
    np.testing.assert_array_equal(dense[1] == 0.0, np.ptp(X, axis=0) == 0.0)


@given(MATRICES, st.integers(-300, 300), st.integers(0, 100))
def test_moments_follow_the_unit(moments, X, exponent, seed):
    """In another unit, a power of two, μ and σ have the same digits."""
    weight = weights(len(X), seed)
    mean, deviation = moments(X, weight)
    scaled = moments(np.ldexp(X, exponent), weight)
    np.testing.assert_allclose(scaled[0], np.ldexp(mean, exponent), rtol=1e-12)
    np.testing.assert_allclose(scaled[1], np.ldexp(deviation, exponent), rtol=1e-12)


@EVERY
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_rows", [17, 100, 1000])
def test_any_constant_column_has_deviation_0(moments, container, n_rows, dtype):
    """Sums of its squares are rounded, so their difference may not be 0."""
    values = np.random.default_rng(n_rows).normal(size=100) * 10.0 ** np.arange(-50, 50)
    X = np.tile(values[30:70].astype(dtype), (n_rows, 1))
    mean, deviation = moments(container(X), weights(n_rows))
    np.testing.assert_array_equal(deviation, 0.0)
    np.testing.assert_array_equal(mean, X[0].astype(np.float64))


@EVERY
def test_small_columns_in_single_precision(moments, container):
    X = 1e-23 * np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    _, deviation = moments(container(X.astype(np.float32)), weights(50))
    _, expected = moments(container(X.astype(np.float64)), weights(50))
    np.testing.assert_allclose(deviation, expected, rtol=1e-6)
