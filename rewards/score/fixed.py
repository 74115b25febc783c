"""Interpolation and spectra whose every bit is the same with any NumPy, Python or processor: sums in a written order.

NumPy's own may add in another order, or fuse a product with a sum, from one version or processor to the next. Products,
sums and square roots of whole arrays are IEEE 754's, one number at a time, and nothing else is used here.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def interpolated(at: Array, known_at: Array, known: Array) -> Array:
    """Return `known` (N,), N at least 2, linearly interpolated from `known_at` (N,), increasing, to `at` (M,).

    Beyond the ends it stays at the first or last value. This is what `np.interp` does.
    """
    before = np.minimum(np.maximum(np.searchsorted(known_at, at, side="right") - 1, 0), len(known_at) - 2)
    slope = (known[1:] - known[:-1]) / (known_at[1:] - known_at[:-1])
    found: Array = slope[before] * (at - known_at[before]) + known[before]
    found = np.where(at <= known_at[0], known[0], found)
    return np.where(at >= known_at[-1], known[-1], found)


def magnitudes(values: Array, size: int) -> Array:
    """Return the magnitudes (size / 2 + 1,) of the spectrum of `values` (M,), zero-padded to `size`, a power of two.

    J. W. Cooley and J. W. Tukey, "An algorithm for the machine calculation of complex Fourier series", 1965; the even
    and odd values at every depth are the columns of one array.
    """
    padded = np.zeros(size)
    padded[: len(values)] = values
    real: Array = padded.reshape(1, size)
    imaginary: Array = np.zeros((1, size))
    turns = _turns(size)
    while len(turns) > 1 and not np.any(real[:, real.shape[1] // 2 :]):
        # Nothing but zeros at the odd places: each half of the spectrum is that of the even ones, to the last bit.
        half = real.shape[1] // 2
        real, imaginary, turns = _twice(real[:, :half]), _twice(imaginary[:, :half]), turns[1:]
    for cosine, sine in turns:
        half = real.shape[1] // 2
        even, odd = (real[:, :half], imaginary[:, :half]), (real[:, half:], imaginary[:, half:])
        turned_real = odd[0] * cosine + odd[1] * sine
        turned_imaginary = odd[1] * cosine - odd[0] * sine
        real = np.concatenate([even[0] + turned_real, even[0] - turned_real])
        imaginary = np.concatenate([even[1] + turned_imaginary, even[1] - turned_imaginary])
    real, imaginary = real[: size // 2 + 1, 0], imaginary[: size // 2 + 1, 0]
    found: Array = np.sqrt(real * real + imaginary * imaginary)
    return found


def _twice(rows: Array) -> Array:
    return np.concatenate([rows, rows])


@lru_cache(maxsize=8)
def _turns(size: int) -> list[tuple[Array, Array]]:
    """Return cosine and sine (n, 1) of pi k / n, k = 0 to n - 1, for n = 1, 2, 4, ..., size / 2.

    Each list has the one before it, and between its numbers those turned by half a step; the half steps come from the
    half-angle formulas. So no elementary function of a C library is needed.
    """
    cosine, sine = np.ones(1), np.zeros(1)
    step_cosine, step_sine = -1.0, 0.0  # of the step pi
    found = [(cosine[:, np.newaxis], sine[:, np.newaxis])]
    for _ in range(size.bit_length() - 2):
        half = math.sqrt(0.5 * (1.0 + step_cosine))
        step_cosine, step_sine = half, 1.0 if half == 0.0 else 0.5 * step_sine / half
        between = cosine * step_cosine - sine * step_sine, cosine * step_sine + sine * step_cosine
        cosine, sine = _alternately(cosine, between[0]), _alternately(sine, between[1])
        found.append((cosine[:, np.newaxis], sine[:, np.newaxis]))
    return found


def _alternately(one: Array, other: Array) -> Array:
    return np.stack([one, other], axis=1).reshape(-1)
