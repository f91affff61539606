"""Special functions where torch's float64 values are not exact: known values."""

import pytest

import flashlight
from flashlight import special

# From tables of 15 digits and more.
KNOWN = [
    (special.bessel_j0, 5.0, -0.177596771314338304),
    (special.bessel_j1, 5.0, -0.327579137591465222),
    (special.bessel_y0, 5.0, -0.308517625249033780),
    (special.bessel_y1, 5.0, 0.147863143391226844),
    (special.airy_ai, 1.0, 0.135292416312881416),
    (special.airy_ai, -1.0, 0.535560883292352075),
    (special.airy_ai, -2.338107410459767, 0.0),
    (special.modified_bessel_k0, 1.0, 0.421024438240708333),
    (special.modified_bessel_k1, 1.0, 0.601907230197234575),
    (special.erfcx, 1.0, 0.427583576155807005),
    (special.ndtri, 0.975, 1.95996398454005424),
    (special.digamma, 1.0, -0.577215664901532861),
]


@pytest.mark.parametrize("function, x, value", KNOWN)
def test_known_values(function, x, value):
    y = function(flashlight.tensor([x], dtype=flashlight.float64)).item()
    assert y == pytest.approx(value, rel=1e-14, abs=1e-15)


def test_zeta_of_large_exponents():
    s = flashlight.tensor([2.0, 100.0], dtype=flashlight.float64)
    q = flashlight.tensor([1.0, 11.0], dtype=flashlight.float64)
    expected = [1.64493406684822644, sum((11.0 + k) ** -100 for k in range(50))]
    assert special.zeta(s, q).tolist() == pytest.approx(expected, rel=1e-14)


def test_incomplete_gamma_near_its_middle():
    a = flashlight.tensor([50.0, 1e6], dtype=flashlight.float64)
    p, q = special.gammainc(a, a), special.gammaincc(a, a)
    assert (p + q).tolist() == pytest.approx([1.0, 1.0], rel=1e-14)
    assert p[0].item() == pytest.approx(0.518808315472043, rel=1e-13)
