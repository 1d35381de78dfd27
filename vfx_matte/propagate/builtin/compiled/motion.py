"""Fits motions and says how badly they explain the flow, as `cues` says."""

from __future__ import annotations

import numpy as np

from vfx_matte.backend import Array
from vfx_matte.compiling.functions import logarithm
from vfx_matte.compiling.jit import compiled

F = np.float32

_ROUNDS = 4
_RIDGE = (1e-6, 1.0, 1.0)


@compiled
def _solve(normal: Array, answer: Array, solution: Array) -> None:
    """The solution of a symmetric, positive system: float64 (3, 3) and (3, 2), both used up."""
    for pivot in range(3):
        for row in range(pivot + 1, 3):
            share = normal[row, pivot] / normal[pivot, pivot]
            for column in range(pivot, 3):
                normal[row, column] -= share * normal[pivot, column]
            for axis in range(2):
                answer[row, axis] -= share * answer[pivot, axis]
    for axis in range(2):
        for row in range(2, -1, -1):
            rest = answer[row, axis]
            for column in range(row + 1, 3):
                rest -= normal[row, column] * solution[column, axis]
            solution[row, axis] = rest / normal[row, row]


@compiled
def fit(
    flow: Array, weight: Array, top: int, bottom: int, left: int, right: int, step: int
) -> tuple[float, float, Array]:
    """Fit one affine motion to the flow of every `step`-th pixel of a window.

    Args:
        flow: float32 (h, w, 2).
        weight: float32 (h, w).
        top: the window's first row; bottom, left and right: its other sides, half-open.
        bottom: see top.
        left: see top.
        right: see top.
        step: see above.

    Returns:
        What `cues.AffineFit` holds.
    """
    most = ((bottom - top + step - 1) // step) * ((right - left + step - 1) // step)
    base, x, y = np.empty(most), np.empty(most), np.empty(most)
    across, down = np.empty(most), np.empty(most)
    count, total, mid_x, mid_y = 0, 0.0, 0.0, 0.0
    # 1. the class's own pixels, and their middle
    for i in range(top, bottom, step):
        for j in range(left, right, step):
            own = np.float64(weight[i, j])
            if own != 0:
                base[count] = own
                x[count], y[count] = np.float64(F(j) / F(100)), np.float64(F(i) / F(100))
                across[count], down[count] = flow[i, j, 0], flow[i, j, 1]
                total += own
                mid_x += own * x[count]
                mid_y += own * y[count]
                count += 1
    total = max(total, 1e-6)
    mid_x /= total
    mid_y /= total
    for k in range(count):
        x[k] -= mid_x
        y[k] -= mid_y
    # 2. rounds of reweighting: outliers, such as limbs, lose their weight
    robust = base[:count].copy()
    normal, answer, solution = np.zeros((3, 3)), np.zeros((3, 2)), np.zeros((3, 2))
    for _ in range(_ROUNDS):
        w0 = wx = wy = wxx = wxy = wyy = 0.0
        u0 = ux = uy = v0 = vx = vy = 0.0
        for k in range(count):
            own = robust[k]
            own_x, own_y = own * x[k], own * y[k]
            w0 += own
            wx += own_x
            wy += own_y
            wxx += own_x * x[k]
            wxy += own_x * y[k]
            wyy += own_y * y[k]
            u0 += own * across[k]
            ux += own_x * across[k]
            uy += own_y * across[k]
            v0 += own * down[k]
            vx += own_x * down[k]
            vy += own_y * down[k]
        normal[0, 0], normal[0, 1], normal[0, 2] = w0 + _RIDGE[0], wx, wy
        normal[1, 0], normal[1, 1], normal[1, 2] = wx, wxx + _RIDGE[1], wxy
        normal[2, 0], normal[2, 1], normal[2, 2] = wy, wxy, wyy + _RIDGE[2]
        answer[0, 0], answer[1, 0], answer[2, 0] = u0, ux, uy
        answer[0, 1], answer[1, 1], answer[2, 1] = v0, vx, vy
        _solve(normal, answer, solution)
        s, t = solution[:, 0], solution[:, 1]
        for k in range(count):
            a = across[k] - (s[0] + x[k] * s[1] + y[k] * s[2])
            b = down[k] - (t[0] + x[k] * t[1] + y[k] * t[2])
            robust[k] = base[k] / (1 + (a * a + b * b))
    return mid_x, mid_y, solution


@compiled
def _missed(flow: Array, i: int, j: int, x: np.float32, y: np.float32) -> np.float32:
    """By how many pixels a motion (x, y) misses the flow of one."""
    across, down = flow[i, j, 0] - x, flow[i, j, 1] - y
    missed: np.float32 = np.sqrt(across * across + down * down)
    return missed


@compiled
def _at(model: Array, axis: int, i: int, j: int) -> np.float32:
    """An affine motion at one pixel. model: float32 (4, 2), the middle and the solution."""
    across = model[1, axis] + (F(j) / F(100) - model[0, 0]) * model[2, axis]
    moved: np.float32 = across + (F(i) / F(100) - model[0, 1]) * model[3, axis]
    return moved


@compiled
def sample_misses(flow: Array, model: Array, members: Array, least: np.float32, step: int) -> Array:
    """By how much an affine motion misses the flow of every `step`-th pixel whose float32 (h, w)
    is above `least`: float32 (N,).
    """
    found = np.empty(members.size, np.float32)
    count = 0
    for i in range(0, members.shape[0], step):
        for j in range(0, members.shape[1], step):
            if members[i, j] > least:
                found[count] = _missed(flow, i, j, _at(model, 0, i, j), _at(model, 1, i, j))
                count += 1
    return found[:count]


@compiled
def surprise(flow: Array, model: Array, unit: np.float32, top: int, left: int, out: Array) -> None:
    """How badly an affine motion explains the flow in a window, log(1 + (r / unit)²), which begins
    at (top, left). out: float32.
    """
    # numbers of their own, not in arrays, and few arrays in a loop: so several pixels are computed
    # at once
    scale = F(1) / (unit * unit)
    middle, s, t, s_x, t_x = model[0, 0], model[1, 0], model[1, 1], model[2, 0], model[2, 1]
    for i in range(out.shape[0]):
        # without a sign nobody asks whether a place counts from the end
        y = np.uintp(top + i)
        far = F(top + i) / F(100) - model[0, 1]
        s_y, t_y = far * model[3, 0], far * model[3, 1]
        for j in range(out.shape[1]):
            x = np.uintp(left) + np.uintp(j)
            beside = F(left + j) / F(100) - middle
            across = flow[y, x, 0] - ((s + beside * s_x) + s_y)
            down = flow[y, x, 1] - ((t + beside * t_x) + t_y)
            out[i, j] = across * across + down * down
        row = out[i]
        for j in range(row.size):
            row[j] = logarithm(F(1) + row[j] * scale)


@compiled
def sample_both(
    flow: Array,
    model: Array,
    smooth: Array,
    members: Array,
    least: np.float32,
    step: int,
    box: Array,
) -> Array:
    """The same of two motions in a window (top, bottom, left, right): the mean of the affine one
    and of `smooth`, float32 (h, w, 2), and the affine one: float32 (2, N).
    """
    top, bottom, left, right = box
    found = np.empty((2, members.size), np.float32)
    count = 0
    for i in range(top, bottom, step):
        for j in range(left, right, step):
            if members[i, j] > least:
                x, y = _at(model, 0, i, j), _at(model, 1, i, j)
                mean_x, mean_y = (x + smooth[i, j, 0]) / F(2), (y + smooth[i, j, 1]) / F(2)
                found[0, count] = _missed(flow, i, j, mean_x, mean_y)
                found[1, count] = _missed(flow, i, j, x, y)
                count += 1
    return found[:, :count]


@compiled
def compare(
    flow: Array, model: Array, smooth: Array, units: Array, surprised: Array, box: Array, out: Array
) -> None:
    """`cues.motion_evidence` of a window (top, bottom, left, right).

    Args:
        flow: float32 (h, w, 2).
        model: see `_at`.
        smooth: float32 (h, w, 2).
        units: float32 (2,), what misses of the two motions are measured by.
        surprised: float32, how badly the background's motion explains the window's pixels.
        box: the window.
        out: float32 (2, rows, columns), filled.
    """
    top, left = box[0], box[2]
    scale, other_scale = F(1) / (units[0] * units[0]), F(1) / (units[1] * units[1])
    middle, s, t, s_x, t_x = model[0, 0], model[1, 0], model[1, 1], model[2, 0], model[2, 1]
    for i in range(out.shape[1]):
        # without a sign nobody asks whether a place counts from the end
        y = np.uintp(top + i)
        far = F(top + i) / F(100) - model[0, 1]
        s_y, t_y = far * model[3, 0], far * model[3, 1]
        row, one, other = surprised[i], out[0, i], out[1, i]
        for j in range(row.size):
            x = np.uintp(left) + np.uintp(j)
            beside = F(left + j) / F(100) - middle
            own_x, own_y = (s + beside * s_x) + s_y, (t + beside * t_x) + t_y
            flow_x, flow_y = flow[y, x, 0], flow[y, x, 1]
            across = flow_x - (own_x + smooth[y, x, 0]) / F(2)
            down = flow_y - (own_y + smooth[y, x, 1]) / F(2)
            one[j] = across * across + down * down
            across, down = flow_x - own_x, flow_y - own_y
            other[j] = across * across + down * down
        for j in range(row.size):
            here = row[j] - logarithm(F(1) + one[j] * scale)
            one[j] = min(max(here, F(-4)), F(4))
        for j in range(row.size):
            whole = row[j] - logarithm(F(1) + other[j] * other_scale)
            other[j] = min(max(whole, F(-4)), F(0))
