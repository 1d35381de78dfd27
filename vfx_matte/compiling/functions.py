"""Functions of single numbers that a compiler can apply to several at once, which those of the C
library stop it from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vfx_matte.compiling.jit import compiled

F, INTEGER = np.float32, np.int32


@compiled
def exponential(x: Any) -> Any:  # noqa: ANN401  a number of NumPy, whose `view` it needs
    """e^x of float32 x ≤ 0, within 2e-7 of it; 0 from -87 on."""
    # 2^t: its whole part goes into the exponent, the rest is a series of ln 2
    t = max(x, F(-87)) * F(1.4426950408889634)
    whole = np.floor(t)
    f = (t - whole) * F(0.6931471805599453)
    series = F(1) + f * (
        F(1)
        + f
        * (
            F(1 / 2)
            + f
            * (F(1 / 6) + f * (F(1 / 24) + f * (F(1 / 120) + f * (F(1 / 720) + f * F(1 / 5040)))))
        )
    )
    return series * (INTEGER((INTEGER(whole) + INTEGER(127)) << INTEGER(23))).view(np.float32)


@compiled
def logarithm(x: Any) -> Any:  # noqa: ANN401
    """The natural logarithm of a normal float32 x > 0, within 1e-6 of it."""
    bits = F(x).view(np.int32)
    # x = 2^power · m, m within a factor √2 of 1: ln m = 2 artanh s with s = (m − 1) / (m + 1)
    power = (bits - INTEGER(0x3F3504F3)) >> INTEGER(23)
    m = INTEGER(bits - (power << INTEGER(23))).view(np.float32)
    s = (m - F(1)) / (m + F(1))
    q = s * s
    series = F(2) * s * (F(1) + q * (F(1 / 3) + q * (F(1 / 5) + q * (F(1 / 7) + q * F(1 / 9)))))
    return F(power) * F(0.6931471805599453) + series


@compiled
def cosine(x: Any) -> Any:  # noqa: ANN401
    """The cosine of float32 x, within 3e-7 of it for |x| up to 1000."""
    # by whole half turns to within ±π/2, with π in two parts, the first of a few bits
    turns = np.floor(x * F(0.3183098861837907) + F(0.5))
    r = (x - turns * F(3.140625)) - turns * F(0.0009676535897932)
    q = r * r
    series = F(1) + q * (
        F(-1 / 2)
        + q
        * (
            F(1 / 24)
            + q * (F(-1 / 720) + q * (F(1 / 40320) + q * (F(-1 / 3628800) + q * F(1 / 479001600))))
        )
    )
    # every other half turn has the other sign
    return series * (F(1) - F(2) * (turns - F(2) * np.floor(turns * F(0.5))))
