"""Alpha from evidence. Takes what is seen of pixels, gives alpha; the constants were fitted to pictures with known alpha.

    alpha = ½ + r + g(x) − g(x′),  g(x) = v · max(W x + b, 0)

with x the evidence, r the reading of the colours that is part of it ("clipped"), and x′ the evidence as seen when subject and
background change places: then alpha becomes 1 − alpha, exactly. g is a perceptron with one layer of UNITS hidden units.
`tools/fit_guided.py` finds its constants and writes them here.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vfx_matte.backend import Array, xp
from vfx_matte.refine.evidence import NAMES, swapped

UNITS = 24

AT_ONCE = 256
"""Pixels in one product; so small that no library shares it out among threads, which would change the last bits."""

IN_CACHE = 32
"""Products that are made before their results are used: these lie in the processor's cache then."""


class _Weights(NamedTuple):
    """Of g and of its counterpart, one below the other: W (2·UNITS, evidence), b (2·UNITS, 1), v and −v (1, 2·UNITS)."""

    slopes: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.float32]
    votes: npt.NDArray[np.float32]


@cache
def _weights() -> _Weights:
    table = np.array(CONSTANTS.split(), np.float32).reshape(UNITS, len(NAMES) + 2)
    slopes, offsets, votes = table[:, : len(NAMES)], table[:, -2:-1], table[:, -1]
    counterpart = swapped(np.eye(len(NAMES), dtype=np.float32)).T
    return _Weights(
        np.ascontiguousarray(np.vstack([slopes, slopes @ counterpart.T])),
        np.vstack([offsets, offsets]),
        np.concatenate([votes, -votes])[None],
    )


def judged(rows: Array) -> Array:
    """Alpha of every column of the evidence: float32 (len(NAMES), n) to float32 (n,), about 0..1 but not limited to it."""
    module, count = xp(rows), rows.shape[1]
    slopes, offsets, votes = (module.asarray(one) for one in _weights())
    parts = -(-count // AT_ONCE)
    padded = module.pad(rows, ((0, 0), (0, parts * AT_ONCE - count)))
    batches = module.ascontiguousarray(padded.reshape(len(rows), parts, AT_ONCE).transpose(1, 0, 2))
    votes_cast: Array = module.empty((parts, AT_ONCE), np.float32)
    for start in range(0, parts, IN_CACHE):
        hidden = module.matmul(slopes, batches[start : start + IN_CACHE])
        hidden += offsets
        module.maximum(hidden, 0, out=hidden)
        votes_cast[start : start + IN_CACHE] = module.matmul(votes, hidden)[:, 0]
    alpha: Array = votes_cast.reshape(-1)[:count] + (rows[NAMES.index("clipped")] + np.float32(0.5))
    return alpha


CONSTANTS = """
-0.02438 -0.3417 0.6307 -0.7578 0.1398 -1.07 0.006072 -0.01944 -0.7247 0.8346 0.1027 -0.4499 -0.1251 0.01319 0.01756 1.659
-1.321 4.029 -3.969 0.1386
-0.2748 -0.225 -0.06863 -0.7291 -0.5993 -1.847 0.01214 1.051 1.175 1.069 -0.7631 0.0546 0.02523 -0.09115 -0.2543 0.2246 0.2416
0.2537 -1.999 -0.1719
-0.1244 1.141 0.5849 0.5453 0.3544 0.2326 0.000434 -0.2388 -1.626 0.02934 0.02118 -0.1285 -0.04086 0.2706 0.2365 -0.3105 0.04885
-1.115 1.042 -0.4786
-0.3246 -0.2662 -0.5196 -0.1357 -0.3557 -2.62 -0.1192 1.534 0.3354 0.0978 -0.1539 -0.1666 0.0008456 -0.1316 -0.06955 0.4075
-0.8219 4.52 -2.269 0.1406
-0.1672 0.5211 0.1182 0.0288 0.8968 5.776 0.7255 -0.8231 0.1827 0.07667 0.06011 -0.01516 0.008863 -0.115 -0.00508 0.1412 -0.1378
0.5108 0.1405 0.4416
0.3364 0.162 0.2669 0.02142 0.6383 3.588 -1.343 1.695 1.065 0.007124 -0.3592 -0.05488 -0.04419 -0.1767 -0.02323 0.08226 -0.3458
0.09103 -1.293 -0.2283
0.1237 0.8897 -0.2943 -0.977 -0.819 1.927 -0.6498 1.31 0.1798 0.1254 0.1557 0.1844 0.1254 0.09407 -0.01283 -0.219 0.6565 1.135
-0.1702 -0.5677
-0.1724 0.113 0.06618 0.1536 1.003 5.668 0.5998 0.1404 -0.6333 0.003418 -0.001742 -0.02161 0.1022 -0.2167 -0.1078 0.4126 0.1722
1.393 -1.274 -0.3745
0.02644 0.1211 0.2479 0.706 0.2747 0.3602 0.3091 1.359 -2.49 0.02961 -0.02697 -0.03028 -0.06161 0.2348 0.2273 -0.199 0.6065
-0.7257 0.7274 0.4141
0.4247 -0.02786 0.9721 0.5889 -0.1533 0.6397 -0.4892 0.8392 0.2214 -0.0622 -0.7596 0.1851 0.07257 -0.305 -0.1839 -0.09106
-0.0595 0.8446 -1.831 0.2296
0.06586 -0.377 0.1693 -0.1409 -0.2332 -2.869 -0.3307 1.163 0.9284 -0.04864 0.4292 -0.166 -0.06749 -0.1572 0.1541 -0.2162 -0.6881
0.00743 0.5144 -0.223
0.09337 0.3429 -0.93 -0.6141 -0.199 -2.169 0.7872 1.733 -0.2455 -0.6479 0.7775 -0.00402 -0.097 0.07776 0.06139 0.03766 -0.1386
-0.3422 -0.02114 -0.2294
0.01346 1.015 -2.668 2.01 1.526 -1.867 1.036 -2.428 -1.264 -0.1737 0.0553 -0.01406 0.09558 -0.1399 -0.07692 0.1015 0.651 -0.6944
-2.332 0.2214
-0.03422 -0.4046 -0.06718 0.1529 0.001205 1.491 -1.172 2.037 -0.3162 0.1931 -0.08274 -0.01698 0.01037 -0.03593 0.03635 -0.1712
-0.1185 -1.032 0.8197 0.4014
1.008 -0.2174 -0.4533 1.05 -0.2016 0.2121 -0.008767 -1.527 0.3641 -0.01618 -0.05655 0.04983 0.03617 -0.1304 -0.1304 -0.1182
0.7249 -1.395 -1.254 -0.3903
0.4474 0.5174 -0.5873 1.045 -0.1169 0.8208 -1.002 -0.03063 0.01926 0.7351 -0.5294 -0.04704 0.009776 0.1099 0.07403 -0.04031
-0.2804 2.224 0.5389 -0.1666
0.3836 0.1548 -0.5774 -1.523 0.05684 0.4848 -0.07298 0.2673 -0.6318 0.06437 -0.337 0.08725 0.2133 -0.3796 -0.405 0.4363 0.777
4.633 -4.506 -0.1161
-0.362 -0.8041 1.788 -0.367 -0.1278 -0.5663 -0.4737 1.77 -0.8785 0.04151 -0.1543 -0.003738 -0.02618 0.1301 0.05233 -0.04336
0.1634 -0.7168 0.4171 -0.2413
-0.4689 0.6339 -0.9251 0.2321 0.06615 0.0776 0.6628 0.579 -0.1803 -0.3238 -0.2209 0.4431 0.1943 -0.05357 -0.06779 -1.094 0.7069
-3.934 3.916 -0.2363
-0.4017 0.7654 0.2012 -0.5795 -0.2131 0.777 0.1676 1.318 1.748 -0.005304 0.2938 -0.01799 -0.04188 0.02927 -0.006853 -0.0732
0.05285 2.904 -1.547 0.3521
0.01978 -1.017 0.1628 0.2733 -0.3956 -2.49 -5.34e-05 0.2649 1.769 -0.05079 -0.6952 -0.1766 -0.01468 0.005079 0.05767 0.05612
-0.6071 -2.46 0.7101 0.1951
0.5498 -0.6517 -0.8587 -0.1525 0.04535 -3.506 0.5291 -0.2088 -0.1789 -0.3095 -0.2679 0.3507 -0.171 0.1742 -0.02752 -0.1822 1.446
-2.768 0.8617 0.122
0.7089 -0.4881 -0.2668 -0.5677 -0.2166 1.086 -1.119 -0.007153 0.6688 0.7006 -1.01 -0.1868 -0.154 0.3013 0.1242 0.2449 -0.9295
-0.1671 1.379 -0.1835
-0.6844 0.8907 -0.08773 -0.03672 -0.1729 1.377 -0.09049 0.3112 0.1795 -0.04532 -0.08186 0.5161 0.4524 -0.2169 -0.3819 1.858
1.302 2.758 -2.159 -0.1899
"""
