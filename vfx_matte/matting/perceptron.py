"""Predicts alpha from evidence, by a small perceptron that was fitted to pictures with known alpha.

    alpha = ½ + r + g(x) − g(x′),  g(x) = v · max(W x + b, 0)

with x the evidence, r the reading of the colours that is part of it ("clipped"), and x′ the
evidence as seen when subject and background are exchanged: then alpha becomes 1 − alpha, exactly. g
is a perceptron with one layer of UNITS hidden units. `bench/fit_guided.py` finds its constants and
writes them here.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vfx_matte.backend import Array, xp
from vfx_matte.matting.evidence import NAMES, swapped

# with 16 units SAD was 3.89; with 24, more seeds and steps it was 3.80, see docs/matting.md
UNITS = 24

AT_ONCE = 256
"""Pixels in one product; so small that no library shares it out among threads, which would change
the last bits.
"""

IN_CACHE = 32
"""Products that are made before their results are used: these lie in the processor's cache then."""


class _Weights(NamedTuple):
    """The constants of g and of its counterpart, one below the other."""

    slopes: npt.NDArray[np.float32]
    """W, (2·UNITS, evidence)."""

    offsets: npt.NDArray[np.float32]
    """b, (2·UNITS, 1)."""

    votes: npt.NDArray[np.float32]
    """v and −v, (1, 2·UNITS)."""


@cache
def _weights() -> _Weights:
    table = np.array(CONSTANTS.split(), np.float32).reshape(UNITS, len(NAMES) + 2)
    slopes, offsets, votes = table[:, : len(NAMES)], table[:, -2:-1], table[:, -1]
    # swapping sides is a linear map of the evidence: folded into W once, it costs nothing per pixel
    counterpart = swapped(np.eye(len(NAMES), dtype=np.float32)).T
    return _Weights(
        np.ascontiguousarray(np.vstack([slopes, slopes @ counterpart.T])),
        np.vstack([offsets, offsets]),
        np.concatenate([votes, -votes])[None],
    )


def units() -> tuple[Array, Array, Array]:
    """What g alone is made of: W (UNITS, evidence), b (UNITS,) and v (UNITS,), float32."""
    slopes, offsets, votes = _weights()
    return slopes[:UNITS], offsets[:UNITS, 0], votes[0, :UNITS]


def predict(rows: Array) -> Array:
    """Alpha of every column of the evidence: float32 (len(NAMES), n) to float32 (n,), about 0..1
    but not limited to it.
    """
    module, count = xp(rows), rows.shape[1]
    slopes, offsets, votes = (module.asarray(constants) for constants in _weights())
    # batches of one size, the last filled up with zeros: other sizes may be rounded otherwise
    parts = -(-count // AT_ONCE)
    padded = module.pad(rows, ((0, 0), (0, parts * AT_ONCE - count)))
    batches = module.ascontiguousarray(padded.reshape(len(rows), parts, AT_ONCE).transpose(1, 0, 2))
    votes_cast: Array = module.empty((parts, AT_ONCE), np.float32)
    for start in range(0, parts, IN_CACHE):
        hidden = module.matmul(slopes, batches[start : start + IN_CACHE])
        hidden += offsets
        module.maximum(hidden, 0, out=hidden)
        votes_cast[start : start + IN_CACHE] = module.matmul(votes, hidden)[:, 0]
    # the units correct the reading, instead of finding alpha by themselves
    alpha: Array = votes_cast.reshape(-1)[:count] + (rows[NAMES.index("clipped")] + np.float32(0.5))
    return alpha


# one unit per two lines: W in the order of NAMES, then b and v; written by bench/fit_guided.py
CONSTANTS = """
-0.009351 -0.3569 0.642 -0.762 0.1327 -1.182 -0.025 -0.002049 -0.7084 0.8041 0.1888 -0.4562 -0.1231
0.006848 0.01902 1.621 -1.333 4.129 -3.987 0.1364
-0.2987 -0.2537 -0.04139 -0.703 -0.6158 -1.825 0.01722 1.136 1.131 1.061 -0.7964 0.0677 0.02263
-0.08629 -0.2503 0.2096 0.1971 0.2172 -1.843 -0.1691
-0.1116 1.143 0.5957 0.5273 0.3502 0.1952 -0.01629 -0.2434 -1.641 0.028 0.04006 -0.1288 -0.04315
0.2635 0.2329 -0.302 0.02585 -1.252 1.014 -0.4813
-0.3253 -0.2724 -0.5431 -0.1472 -0.3487 -2.602 -0.135 1.544 0.2152 0.1104 -0.1597 -0.1749 0.00652
-0.1195 -0.06637 0.426 -0.8251 4.514 -2.206 0.1354
-0.1727 0.5145 0.119 0.01666 0.8884 5.722 0.7265 -0.8111 0.1965 0.07856 0.03761 -0.01424 0.01294
-0.1181 -0.003196 0.1453 -0.1184 0.4814 0.1531 0.4402
0.338 0.1631 0.2675 -0.001906 0.6271 3.533 -1.347 1.706 1.086 -0.00202 -0.3589 -0.05274 -0.04555
-0.1798 -0.02479 0.1228 -0.3435 0.1363 -1.351 -0.2265
0.1024 0.8706 -0.2523 -0.9658 -0.8344 1.955 -0.6708 1.322 0.1404 0.1402 0.1364 0.1859 0.1172 0.09864
0.002589 -0.2433 0.6799 1.062 -0.1289 -0.6042
-0.1797 0.12 0.06618 0.1318 0.9929 5.617 0.5972 0.1215 -0.6503 0.004195 -0.00838 -0.01705 0.1089
-0.2237 -0.1056 0.4297 0.1725 1.472 -1.252 -0.3754
0.02832 0.1361 0.2413 0.6802 0.2664 0.2954 0.3246 1.354 -2.517 0.02415 -0.01402 -0.03219 -0.05927
0.2289 0.2233 -0.173 0.5626 -0.8542 0.7168 0.4131
0.4267 -0.009314 0.9876 0.5601 -0.1324 0.6567 -0.4635 0.8375 0.2121 -0.07191 -0.7468 0.19 0.06536
-0.3039 -0.1785 -0.09094 -0.07632 0.9165 -1.817 0.2253
0.06982 -0.3754 0.1703 -0.1394 -0.236 -2.881 -0.3392 1.168 0.934 -0.05628 0.4103 -0.164 -0.06708
-0.163 0.1449 -0.2046 -0.6813 0.07925 0.4278 -0.2272
0.08149 0.3458 -0.9303 -0.6015 -0.1966 -2.142 0.7936 1.73 -0.2502 -0.6624 0.8129 -0.002226 -0.09534
0.07787 0.06283 0.04796 -0.1428 -0.362 -0.007827 -0.2303
0.1229 1.042 -2.727 1.938 1.545 -1.819 0.9655 -2.493 -1.226 -0.1555 0.05234 -0.01797 0.1008 -0.1377
-0.07863 0.08182 0.659 -0.7312 -2.297 0.2126
-0.0263 -0.3998 -0.06971 0.1441 0.001306 1.488 -1.176 2.043 -0.3191 0.1896 -0.1101 -0.01979 0.005911
-0.03326 0.04104 -0.1466 -0.1137 -1.018 0.7751 0.4023
1.022 -0.2248 -0.4533 1.052 -0.208 0.2449 -0.008941 -1.523 0.3411 -0.009426 -0.05555 0.05238 0.03444
-0.1261 -0.1266 -0.1247 0.7231 -1.399 -1.196 -0.3851
0.458 0.5137 -0.5939 1.045 -0.1177 0.8294 -1.024 -0.0249 0.009358 0.7218 -0.5306 -0.04488 0.006526
0.1146 0.07109 -0.04476 -0.2921 2.203 0.5693 -0.1691
0.3799 0.2094 -0.5399 -1.529 0.02626 0.395 -0.04656 0.2019 -0.6515 0.07852 -0.2639 0.09473 0.2077
-0.3936 -0.4365 0.4522 0.7546 4.975 -4.711 -0.1165
-0.3566 -0.8094 1.781 -0.3791 -0.1263 -0.5667 -0.4867 1.769 -0.88 0.04981 -0.1674 -0.006443 -0.02579
0.1301 0.05931 -0.05984 0.1569 -0.8147 0.4541 -0.2469
-0.4628 0.6466 -0.9271 0.2188 0.0738 0.1148 0.6635 0.5985 -0.1707 -0.3243 -0.2357 0.4406 0.1949
-0.04926 -0.0623 -1.104 0.7279 -3.983 3.947 -0.2421
-0.3993 0.7681 0.184 -0.5301 -0.2093 0.7672 0.1653 1.303 1.766 -0.001574 0.2894 -0.01431 -0.03902
0.03036 -0.006279 -0.06933 0.06881 2.982 -1.548 0.342
0.01436 -1.029 0.1732 0.2636 -0.3969 -2.501 0.001451 0.2698 1.754 -0.04358 -0.7201 -0.1715 -0.01182
-0.002761 0.0572 0.05071 -0.6204 -2.464 0.7223 0.1895
0.5529 -0.639 -0.8576 -0.1393 0.04968 -3.491 0.5376 -0.2265 -0.1949 -0.3131 -0.2637 0.3513 -0.163
0.1727 -0.04244 -0.1831 1.48 -2.771 0.8075 0.1214
0.7178 -0.4937 -0.2705 -0.5616 -0.2154 1.094 -1.13 -0.005028 0.6616 0.7095 -1.056 -0.1806 -0.1417
0.2921 0.113 0.2818 -0.8379 -0.1155 1.245 -0.1847
-0.6758 0.9231 -0.09161 -0.05533 -0.1746 1.443 -0.09209 0.2926 0.1551 -0.05278 -0.09602 0.5209
0.4614 -0.208 -0.3754 1.791 1.327 2.714 -1.971 -0.1822
"""
