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
0.3158 -0.2485 0.2557 -0.4876 0.06527 0.01793 0.1942 -0.1537 -0.4604 0.9005 -0.1873 -0.2816 -0.08028 -0.04593 0.1057 0.2306
-0.7472 2.523 -1.746 0.2368
-0.1654 0.0619 -0.8668 -0.3588 -0.3284 -1.399 0.2958 0.0712 0.7945 0.8083 -0.5918 -0.003132 0.02435 -0.1308 -0.09757 0.09683
0.1609 -0.9817 -1.265 -0.1759
0.0214 0.9042 0.5006 0.4683 -0.01782 -0.7071 -0.3471 -0.06501 -0.5253 -0.03338 0.004837 -0.01409 0.009639 0.1682 0.0215 -1.967
-0.07891 -1.079 2.568 -0.2232
-0.1691 -0.2484 -0.4433 0.1912 -0.3568 -2.717 -0.1327 0.8069 -0.3649 0.114 -0.2339 -0.06994 -0.04769 0.0246 0.01611 0.09999
0.007544 2.996 -1.171 0.1882
0.1581 0.1791 0.2016 -0.2727 0.5595 3.883 0.4376 -0.6149 0.4707 -0.02719 0.2048 -0.03248 0.03625 0.04018 0.01225 -0.1965 -0.1076
0.9048 0.6653 0.273
0.4733 0.3224 0.06698 0.1318 0.4653 2.665 -1.331 0.227 1.426 0.3482 -0.5725 0.03415 0.003451 -0.1033 0.01913 0.332 0.3569 1.759
-1.543 -0.3385
-0.2461 0.6671 -0.154 -0.6542 -0.38 -0.06102 -0.2047 0.9065 -0.1342 0.04006 0.01209 0.222 0.1409 0.005518 0.08555 -0.287 0.6106
-0.1559 0.8324 -0.7444
-0.2114 -0.121 0.04322 -0.239 0.7385 4.222 0.8374 0.2927 0.4512 -0.01204 0.09248 -0.03054 0.01989 -0.06992 -0.008212 0.1083
0.4164 -1.301 -0.5091 -0.3141
-0.1903 0.05553 0.008945 0.6418 0.143 -0.1527 0.3444 0.8796 -0.9971 -0.1051 0.08117 0.004226 0.006639 0.2269 0.04694 -2.141
0.364 -1.121 2.739 0.2085
0.4956 -0.1668 0.4095 0.1417 -0.1945 0.5968 -0.05271 1.95 -1.026 0.2771 -0.731 0.06603 0.01946 -0.04656 -0.02706 -0.04518 0.3514
0.1829 -0.9018 0.2944
0.1832 -0.3271 0.02238 -0.002293 -0.1865 -2.667 -0.238 0.7097 0.4909 -0.1877 0.723 -0.1696 -0.02902 -0.1586 0.197 -0.3197
-0.8683 -0.5235 1.065 -0.2524
0.843 -0.1655 -0.4587 -0.5396 -0.1518 -2.025 0.112 1.016 0.1287 -0.3204 0.5647 0.01231 -0.05301 0.01782 -0.0005723 -0.0571
-0.1855 -0.6213 -0.008745 -0.3707
-0.01655 0.1174 -0.2665 0.3497 1.09 -0.2758 -0.1763 -2.726 0.7137 -1.322 0.8382 0.02392 -0.02659 -0.1155 0.01273 0.01586 0.2613
-0.06512 -2.323 0.2979
-0.1972 -0.3306 -0.03935 0.1211 0.1995 2.576 -0.7713 1.126 0.5126 0.1695 -0.2248 0.0218 0.02767 -0.04629 0.04254 1.003 0.1064
-0.2413 -0.02627 0.315
0.1834 0.2186 -0.2652 0.6575 -0.000234 -1.159 0.4373 -0.9914 0.1629 0.1087 -0.152 -0.02885 -0.09796 0.03643 -0.0742 -0.5093
0.5981 -2.111 -0.6329 -0.1725
0.07952 0.4659 -0.1999 0.3968 -0.05062 0.9567 -0.7672 -0.2133 0.5699 0.9793 -1.007 0.0206 0.0495 0.05341 0.01536 -0.04127
0.06983 2.087 0.3309 -0.2049
0.2986 -0.6739 -0.1146 -0.9 0.2361 -0.5665 -0.1553 1.095 -2.319 -0.09157 -0.1186 0.04741 0.08043 -0.09443 -0.1648 0.2257 0.62
3.49 -2.722 -0.2258
-0.2338 -0.5457 1.622 -0.4843 -0.2642 -0.5925 -0.4516 1.094 -0.02562 -0.03728 -0.08894 0.05544 -0.04647 0.02987 -0.03876
-0.01623 0.1384 -0.7129 -0.3548 -0.4303
-0.1661 0.3983 -0.7782 0.3448 -0.01861 -0.273 0.3247 -0.003755 0.3726 -0.6147 0.06112 0.2884 0.07536 0.02541 -0.09727 -0.308
0.5002 -2.123 1.916 -0.2502
0.1106 0.4674 0.1386 -0.5614 -0.1832 0.7582 -0.3973 -0.02807 2.285 0.05402 0.03274 0.02671 -0.05037 -0.005206 -0.003241 -0.3223
0.1693 1.362 -0.7296 0.309
0.0873 -0.734 -0.09367 0.1438 -0.3094 -2.018 0.08474 0.05134 1.649 -0.01124 -0.412 -0.06403 -0.03907 -0.009102 0.06214 0.1208
-1.234 -1.428 1.382 0.2612
0.4353 -0.6204 -0.7729 -0.4505 0.3397 -1.866 0.5974 0.5165 -0.03108 -0.06185 0.3719 0.08734 -0.1201 0.02025 -0.008161 -0.05523
-0.6417 -3.018 1.099 0.1595
0.5236 -0.3422 -0.402 -0.342 -0.3672 0.9667 -0.9074 -0.1805 0.994 0.7329 -1.285 -0.06105 -0.03942 0.08542 0.01649 0.09531
-0.6404 0.4718 0.7167 -0.2272
-0.2216 0.2284 0.2827 0.2258 0.2252 0.1367 0.3041 0.2361 -0.426 -0.1893 -0.01967 0.2328 0.2962 -0.1589 -0.4727 -0.01946 1.139
2.637 -2.078 -0.09681
"""
