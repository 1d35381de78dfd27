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
0.2496 -0.1922 -0.1489 -0.5269 0.03326 0.1028 0.3263 0.2085 -0.3348 0.8195 0.2372 -0.2031 -0.02765 -0.03665 0.07234 0.1348
-0.2492 1.656 -1.218 0.2072
-0.3319 -0.00504 -0.6715 -0.3209 -0.2689 -0.8301 0.3385 -0.1246 0.7132 0.7259 -0.5838 -0.01088 -0.001047 -0.1429 -0.1034 0.3431
-0.5973 -0.6821 -0.9799 -0.18
0.03082 0.5845 0.4775 0.1323 -0.02246 -0.5589 -0.2624 -0.3694 -0.1822 0.1214 -0.2513 -0.1339 -0.03412 0.2131 0.07023 -1.541
-0.494 -1.466 2.48 -0.1683
-0.02788 -0.2248 -0.08392 0.3507 -0.2529 -2.401 0.05133 -0.1703 -0.3747 0.2565 -0.7377 -0.05675 -0.00984 0.01924 -0.0226
-0.05451 0.5622 2.06 -1.353 0.1388
-0.1494 0.1431 0.2616 -0.1869 0.5242 3.494 0.7234 -0.4269 0.3867 -0.1159 0.4087 0.06584 0.008782 0.001655 0.04564 -0.2825
0.01824 0.4342 0.9124 0.2941
0.1585 0.2012 -0.1447 0.0428 0.5021 3.085 -0.9602 0.1313 1.199 0.5289 -0.4997 0.039 0.04478 -0.1346 -0.01342 0.3018 0.3265 1.491
-1.432 -0.2745
-0.1784 0.6859 -0.1242 -0.5678 -0.1553 -0.7891 -0.3302 0.4837 0.1708 0.04565 0.00432 0.1645 0.1291 0.01899 0.1141 -0.22 0.5804
-0.4714 0.9223 -0.6351
0.1352 -0.3395 0.1024 -0.04114 0.583 3.663 0.5524 0.2621 0.5714 -0.189 0.2429 -0.09357 0.1056 -0.08015 0.03986 0.02726 0.6361
-0.1741 -0.7448 -0.2877
0.1014 0.5283 -0.8402 0.3421 0.002112 1.07 0.03352 0.3406 -0.5298 -0.06873 0.06703 -0.09868 0.1053 0.07112 0.01266 -0.9974
0.1956 0.402 0.8486 0.1554
0.3967 0.105 0.2937 0.1393 -0.2276 0.4065 0.4211 1.447 -0.7174 0.3105 -0.7942 0.0982 0.02207 -0.0488 -0.006621 -0.07698 0.6576
-0.2515 -0.8675 0.2513
0.3551 -0.08682 -0.1713 0.1101 -0.1664 -2.428 -0.2649 0.3704 0.09247 -0.1984 0.5709 -0.1601 0.01319 -0.1249 0.1427 -0.3811
-0.6649 -0.7368 1.044 -0.2375
0.6809 0.1019 -0.3506 -0.6441 -0.1401 -1.626 -0.02023 0.6594 0.4731 -0.1985 0.4875 0.007085 -0.04854 0.036 -0.01077 -0.00799
-0.1273 -1.201 0.09642 -0.431
0.4602 -0.03394 -0.7481 0.6834 1.263 -1.47 0.09947 -3.086 0.5717 -1.064 0.8537 0.001871 0.02963 -0.1045 0.02646 -0.0002557
0.1411 -0.4348 -1.632 0.3807
-0.374 -0.2212 -0.1116 0.1493 0.1514 2.181 -0.5539 0.8415 0.5857 0.1248 -0.2724 -0.01138 0.0745 -0.04164 0.07056 0.7339 0.1476
-0.4922 0.2249 0.236
0.4378 0.3105 -0.09692 0.3275 0.1054 -1.633 0.4142 -0.0997 0.1484 -0.2355 0.78 -0.1101 -0.08471 -0.03457 -0.09981 -0.6195 1.748
-2.602 -2.26 -0.126
0.1176 0.3808 -0.4708 0.08142 -0.0532 0.8246 -0.1918 -0.08743 0.7403 0.9249 -0.7416 0.06094 0.05578 0.04302 0.01133 -0.3537
0.2211 1.528 0.7475 -0.179
0.1772 -0.2772 -0.2932 -0.9924 0.1179 -0.134 -0.09425 0.9287 -1.98 -0.02992 -0.1509 0.0741 0.06736 -0.09016 -0.2346 0.2256
0.6039 3.491 -2.959 -0.2421
-0.6255 0.138 0.8672 -0.4 -0.2915 -0.4051 0.137 0.9359 0.09989 -0.3394 0.3598 0.1401 -0.08072 -0.01594 -0.03918 -0.08442
0.002228 0.3177 -0.4756 -0.5385
0.1284 0.2727 -0.5778 0.2928 -0.08445 -0.1872 0.408 -0.3489 0.2307 -0.4998 -0.2222 0.2412 0.0595 -0.03594 -0.06332 -0.4224
-0.08958 -1.023 1.782 -0.1982
0.1575 0.1986 0.08883 -0.7862 -0.06756 0.5871 -0.3053 0.4127 1.792 -0.01678 0.2029 0.02226 -0.04342 -0.03753 -0.004864 -0.2555
0.3084 0.9936 -0.9241 0.345
0.2067 -0.391 -0.1167 0.1172 -0.2985 -2.107 0.1768 0.0463 1.256 -0.2092 -0.2859 -0.03842 0.009608 -0.0225 0.03895 0.06803 -1.4
-1.626 1.791 0.1976
0.393 -0.3565 -0.4856 -0.4396 0.2456 -2.461 0.5417 0.5535 -0.2086 -0.04837 0.7403 -0.02297 -0.05708 0.0411 0.02405 -0.01576
-0.4834 -3.538 1.011 0.171
0.3736 -0.4385 -0.2351 -0.2399 -0.3554 1.57 -0.5514 -0.278 0.6518 0.6403 -0.9271 -0.0162 -0.2051 0.06471 0.1464 0.157 0.9671
0.2376 -0.9912 -0.1502
0.1473 0.3359 0.5281 0.2698 0.09252 0.02858 -0.009016 -0.0832 0.2287 -0.1659 -0.7159 0.2033 0.1494 -0.1113 -0.4044 1.425 0.9107
2.24 -3.35 -0.1219
"""
