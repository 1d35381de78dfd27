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
-0.04692 -0.3189 0.6138 -0.7514 0.1505 -0.9023 0.05268 -0.04553 -0.7491 0.8804 -0.02657 -0.4405 -0.128 0.02271 0.01536 1.715
-1.302 3.878 -3.941 0.1419
-0.239 -0.1819 -0.1095 -0.7683 -0.5745 -1.88 0.004528 0.9244 1.241 1.082 -0.7131 0.03495 0.02913 -0.09843 -0.2603 0.247 0.3084
0.3085 -2.233 -0.176
-0.1437 1.137 0.5686 0.5723 0.3608 0.2887 0.02552 -0.2318 -1.603 0.03135 -0.007146 -0.1281 -0.03742 0.2813 0.2419 -0.3232
0.08335 -0.9094 1.085 -0.4746
-0.3236 -0.2568 -0.4843 -0.1184 -0.3661 -2.646 -0.09548 1.518 0.5158 0.07889 -0.1451 -0.1541 -0.007666 -0.1498 -0.07433 0.3797
-0.817 4.528 -2.363 0.1483
-0.1589 0.531 0.117 0.04701 0.9094 5.857 0.7241 -0.841 0.162 0.07384 0.09387 -0.01653 0.002747 -0.1103 -0.007906 0.135 -0.1668
0.5548 0.1217 0.4437
0.334 0.1604 0.2659 0.0564 0.655 3.67 -1.336 1.679 1.033 0.02084 -0.3596 -0.05808 -0.04215 -0.1721 -0.02088 0.02146 -0.3493
0.02312 -1.207 -0.2309
0.1557 0.9183 -0.3572 -0.9937 -0.796 1.886 -0.6184 1.291 0.2389 0.1031 0.1846 0.1821 0.1376 0.08722 -0.03596 -0.1826 0.6213
1.245 -0.2322 -0.513
-0.1614 0.1025 0.06618 0.1864 1.019 5.745 0.6038 0.1688 -0.6078 0.002252 0.008214 -0.02845 0.09222 -0.2061 -0.1111 0.3869 0.1718
1.275 -1.306 -0.3732
0.02363 0.09868 0.2577 0.7447 0.2871 0.4574 0.2858 1.366 -2.449 0.03779 -0.04639 -0.02741 -0.06512 0.2437 0.2334 -0.238 0.6723
-0.5329 0.7434 0.4156
0.4218 -0.05567 0.9489 0.632 -0.1847 0.6142 -0.5277 0.8418 0.2353 -0.04763 -0.7787 0.1778 0.08339 -0.3066 -0.192 -0.09124
-0.03427 0.7368 -1.852 0.236
0.05993 -0.3794 0.1678 -0.1431 -0.229 -2.852 -0.318 1.155 0.9199 -0.03718 0.4575 -0.1691 -0.06811 -0.1486 0.1679 -0.2337 -0.6984
-0.1003 0.6443 -0.2168
0.1112 0.3386 -0.9295 -0.633 -0.2025 -2.21 0.7776 1.738 -0.2384 -0.6261 0.7244 -0.006711 -0.09948 0.0776 0.05924 0.0222 -0.1322
-0.3124 -0.04112 -0.2281
-0.1507 0.9734 -2.579 2.119 1.497 -1.939 1.141 -2.33 -1.321 -0.201 0.05973 -0.008191 0.08775 -0.1432 -0.07436 0.1311 0.639
-0.6393 -2.384 0.2346
-0.04611 -0.4119 -0.06339 0.166 0.001054 1.496 -1.167 2.028 -0.3118 0.1984 -0.04169 -0.01277 0.01706 -0.03994 0.02931 -0.2081
-0.1256 -1.052 0.8866 0.4001
0.9878 -0.2062 -0.4532 1.046 -0.1919 0.1629 -0.008505 -1.533 0.3987 -0.0263 -0.05805 0.04601 0.03877 -0.1368 -0.1362 -0.1084
0.7277 -1.389 -1.342 -0.398
0.4316 0.523 -0.5774 1.045 -0.1156 0.808 -0.9695 -0.03923 0.03412 0.7551 -0.5277 -0.05028 0.01465 0.1029 0.07845 -0.03363
-0.2629 2.256 0.4933 -0.1628
0.3892 0.07282 -0.6336 -1.513 0.1027 0.6194 -0.1126 0.3655 -0.6022 0.04315 -0.4466 0.07602 0.2217 -0.3587 -0.3578 0.4125 0.8105
4.121 -4.199 -0.1155
-0.37 -0.7961 1.799 -0.3489 -0.13 -0.5658 -0.4543 1.771 -0.8762 0.02905 -0.1346 0.0003203 -0.02677 0.13 0.04187 -0.01863 0.1731
-0.57 0.3617 -0.233
-0.4781 0.6149 -0.9222 0.252 0.05468 0.0218 0.6617 0.5497 -0.1946 -0.323 -0.1986 0.4468 0.1935 -0.06003 -0.07602 -1.08 0.6754
-3.861 3.869 -0.2276
-0.4053 0.7614 0.2269 -0.6537 -0.2187 0.7917 0.171 1.341 1.72 -0.0109 0.3005 -0.02351 -0.04618 0.02763 -0.007714 -0.079 0.0289
2.787 -1.545 0.3673
0.02791 -1 0.1471 0.2878 -0.3937 -2.474 -0.00231 0.2575 1.791 -0.06161 -0.6578 -0.1843 -0.01898 0.01684 0.05837 0.06424 -0.5871
-2.454 0.6917 0.2034
0.5452 -0.6708 -0.8603 -0.1724 0.03885 -3.528 0.5163 -0.1822 -0.1549 -0.3041 -0.2742 0.3497 -0.1831 0.1765 -0.005137 -0.1809
1.396 -2.764 0.9431 0.1229
0.6956 -0.4798 -0.2613 -0.5769 -0.2184 1.075 -1.102 -0.01034 0.6797 0.6873 -0.9402 -0.1962 -0.1725 0.3151 0.1409 0.1895 -1.067
-0.2445 1.579 -0.1818
-0.6972 0.8422 -0.08191 -0.008809 -0.1703 1.279 -0.08809 0.3391 0.2162 -0.03413 -0.06063 0.509 0.4388 -0.2302 -0.3917 1.959
1.265 2.825 -2.441 -0.2015
"""
