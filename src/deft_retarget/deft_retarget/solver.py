"""Bounded Newton steps on the key-vector objective, compiled.

The objective of motor angles u (m,), rad:

    f(u) = sum_v w_v huber(|p_task(v) - p_origin(v) - target_v|) + s |u - u0|^2 + c sum_c max(0, r_c - |p_a(c) - p_b(c)|)^3

with the points p from Pinocchio. Gradient and Hessian are exact, and both are continuous but for the Hessian where a length
crosses the Huber radius. With Pinocchio's Jacobian columns (v_j, omega_j) a point moves with J_j = v_j + omega_j x p, and its
second derivative for a joint i at or before j on its chain is omega_i x J_j.

Compiled because one evaluation is a few hundred multiplications: NumPy's calls would cost ten times the arithmetic.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from deft_core.types import Array

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LONGEST_STEP = 0.4      # rad; a longer one leaves the valley that it began in


@numba.njit(cache=True)
def evaluate(jacobian: Array, points: Array, support: Bools, source: Ints, ratio: Array, vectors: Ints, targets: Array,
             weights: Array, huber: float, pairs: Ints, gap: float, stiffness: float, motors: Array, centre: Array,
             smoothness: float, gradient: Array, hessian: Array, majorant: Array) -> float:
    """f, with its gradient (m,), Hessian (m, m) and a matrix above it (m, m) written in place.

    The majorant is positive definite: squares of Jacobians with weights that bound the loss from above (as in iteratively
    reweighted least squares), without the curvature of the kinematics.

    Args:
        jacobian: (6, n) Pinocchio's joint Jacobian in world axes about the world's origin.
        points: (k, 3) m. support: (k, n) which joints move which point.
        source, ratio: (n,) motor and ratio of each joint.
        vectors: (v, 2) rows of points: origin, task. targets: (v, 3) m. weights: (v,). huber: m, where the loss turns linear.
        pairs: (c, 2) rows of points to be kept `gap` (m) apart with `stiffness` (1/m^3).
        motors, centre: (m,) rad, here and where smoothness (1/rad^2) pulls to.
    """
    n = jacobian.shape[1]
    moved = _point_jacobians(jacobian, points, support)
    pull = np.zeros((points.shape[0], 3))  # derivative of f by each point
    slope, curve, above = np.zeros(n), np.zeros((n, n)), np.zeros((n, n))
    cost, off = 0.0, np.empty(3)
    for v in range(vectors.shape[0]):
        start, end = vectors[v, 0], vectors[v, 1]
        for d in range(3):
            off[d] = points[end, d] - points[start, d] - targets[v, d]
        distance = np.sqrt(off[0] * off[0] + off[1] * off[1] + off[2] * off[2])
        beyond = max(distance, huber)
        cost += weights[v] * (distance * distance / (2.0 * beyond) + 0.5 * (beyond - huber))
        along = weights[v] / beyond
        outward = -along / (distance * distance) if distance > huber else 0.0
        _add(start, end, off, along, outward, along, 0.0, moved, support, pull, slope, curve, above)
    for c in range(pairs.shape[0]):
        start, end = pairs[c, 0], pairs[c, 1]
        for d in range(3):
            off[d] = points[end, d] - points[start, d]
        distance = np.sqrt(off[0] * off[0] + off[1] * off[1] + off[2] * off[2])
        short = gap - distance
        if short <= 0.0:
            continue
        cost += stiffness * short * short * short
        safe = max(distance, 1e-9)
        along = -3.0 * stiffness * short * short / safe
        stiff = 6.0 * stiffness * short / (safe * safe)
        _add(start, end, off, along, stiff - along / (safe * safe), 0.0, stiff, moved, support, pull, slope, curve, above)
    _add_kinematic_curvature(jacobian, moved, support, pull, curve)
    _by_motor(slope, curve, above, source, ratio, gradient, hessian, majorant)
    for a in range(motors.size):
        away = motors[a] - centre[a]
        cost += smoothness * away * away
        gradient[a] += 2.0 * smoothness * away
        hessian[a, a] += 2.0 * smoothness
        majorant[a, a] += 2.0 * smoothness
    return cost


@numba.njit(cache=True)
def _point_jacobians(jacobian: Array, points: Array, support: Bools) -> Array:
    """(k, 3, n): how each joint moves each point, v + omega x p."""
    k, n = support.shape
    moved = np.zeros((k, 3, n))
    for p in range(k):
        x, y, z = points[p]
        for j in range(n):
            if support[p, j]:
                a, b, c = jacobian[3, j], jacobian[4, j], jacobian[5, j]
                moved[p, 0, j] = jacobian[0, j] + b * z - c * y
                moved[p, 1, j] = jacobian[1, j] + c * x - a * z
                moved[p, 2, j] = jacobian[2, j] + a * y - b * x
    return moved


@numba.njit(cache=True)
def _add(start: int, end: int, off: Array, along: float, outward: float, above_along: float, above_outward: float, moved: Array,
         support: Bools, pull: Array, slope: Array, curve: Array, above: Array) -> None:
    """One term of f that depends on the length of d = `off` (3,), the difference of two points.

    `along` is f' / |d|, so that the gradient by d is along * d; the Hessian by d is along * 1 + outward * d d^T, and the
    majorant likewise.
    """
    for d in range(3):
        pull[end, d] += along * off[d]
        pull[start, d] -= along * off[d]
    n = slope.size
    for i in range(n):
        if not (support[end, i] or support[start, i]):
            continue
        i0, i1, i2 = (moved[end, 0, i] - moved[start, 0, i], moved[end, 1, i] - moved[start, 1, i],
                      moved[end, 2, i] - moved[start, 2, i])
        i_out = off[0] * i0 + off[1] * i1 + off[2] * i2
        slope[i] += along * i_out
        for j in range(i, n):
            if not (support[end, j] or support[start, j]):
                continue
            j0, j1, j2 = (moved[end, 0, j] - moved[start, 0, j], moved[end, 1, j] - moved[start, 1, j],
                          moved[end, 2, j] - moved[start, 2, j])
            together = i0 * j0 + i1 * j1 + i2 * j2
            out = i_out * (off[0] * j0 + off[1] * j1 + off[2] * j2)
            curve[i, j] += along * together + outward * out
            above[i, j] += above_along * together + above_outward * out


@numba.njit(cache=True)
def _add_kinematic_curvature(jacobian: Array, moved: Array, support: Bools, pull: Array, curve: Array) -> None:
    """What the points' own second derivatives omega_i x J_j add to the Hessian by the joints (its upper triangle)."""
    k, n = support.shape
    for p in range(k):
        g0, g1, g2 = pull[p]
        for j in range(n):
            if not support[p, j]:
                continue
            m0, m1, m2 = moved[p, 0, j], moved[p, 1, j], moved[p, 2, j]
            c0, c1, c2 = m1 * g2 - m2 * g1, m2 * g0 - m0 * g2, m0 * g1 - m1 * g0
            for i in range(j + 1):
                if support[p, i]:
                    curve[i, j] += jacobian[3, i] * c0 + jacobian[4, i] * c1 + jacobian[5, i] * c2


@numba.njit(cache=True)
def _by_motor(slope: Array, curve: Array, above: Array, source: Ints, ratio: Array, gradient: Array, hessian: Array,
              majorant: Array) -> None:
    """Derivatives by joints (upper triangles) as derivatives by motors, in place of what the last three hold."""
    gradient[:] = 0.0
    hessian[:] = 0.0
    majorant[:] = 0.0
    for i in range(slope.size):
        a = source[i]
        gradient[a] += ratio[i] * slope[i]
        for j in range(i, slope.size):
            b = source[j]
            both = ratio[i] * ratio[j]
            hessian[a, b] += both * curve[i, j]
            majorant[a, b] += both * above[i, j]
            if j > i:
                hessian[b, a] += both * curve[i, j]
                majorant[b, a] += both * above[i, j]


@numba.njit(cache=True)
def _solve(matrix: Array, right: Array, damping: float, step: Array) -> bool:
    """step = (matrix + damping * diagonal)^-1 right by Cholesky; False where that is not positive definite."""
    size = right.size
    factor = np.empty((size, size))
    for i in range(size):
        for j in range(i + 1):
            total = matrix[i, j]
            if i == j:
                total += damping * max(abs(matrix[i, i]), 1e-6)
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            if i == j:
                if not total > 1e-12:
                    return False
                factor[i, i] = np.sqrt(total)
            else:
                factor[i, j] = total / factor[j, j]
    for i in range(size):
        total = right[i]
        for k in range(i):
            total -= factor[i, k] * step[k]
        step[i] = total / factor[i, i]
    for i in range(size - 1, -1, -1):
        total = step[i]
        for k in range(i + 1, size):
            total -= factor[k, i] * step[k]
        step[i] = total / factor[i, i]
    return True


@numba.njit(cache=True)
def newton_step(motors: Array, gradient: Array, hessian: Array, majorant: Array, lower: Array, upper: Array, damping: float,
                source: Ints, ratio: Array, trial: Array, joints: Array) -> tuple[float, float]:
    """A damped Newton step of the motors that are free to move, cut at the limits; written to `trial` and as `joints`.

    A motor at a limit that the gradient pushes against stays there. Where the Hessian is not positive definite, the majorant
    takes its place.

    Returns:
        how far from optimal we are, the largest gradient component of a motor free to follow it; and by how much
        f falls along the step if it is as quadratic as here.
    """
    m = motors.size
    free = np.empty(m, np.int64)
    count = 0
    residual = 0.0
    for a in range(m):
        if not ((motors[a] <= lower[a] and gradient[a] > 0.0) or (motors[a] >= upper[a] and gradient[a] < 0.0)):
            free[count] = a
            count += 1
            residual = max(residual, abs(gradient[a]))
    matrix, right, step = np.empty((count, count)), np.empty(count), np.empty(count)
    for i in range(count):
        right[i] = -gradient[free[i]]
        for j in range(count):
            matrix[i, j] = hessian[free[i], free[j]]
    model = hessian
    if not _solve(matrix, right, damping, step):
        model = majorant
        for i in range(count):
            for j in range(count):
                matrix[i, j] = majorant[free[i], free[j]]
        _solve(matrix, right, damping, step)
    largest = 0.0
    for i in range(count):
        largest = max(largest, abs(step[i]))
    shorter = min(1.0, LONGEST_STEP / max(largest, LONGEST_STEP))
    for a in range(m):
        trial[a] = motors[a]
    for i in range(count):
        a = free[i]
        trial[a] = min(max(motors[a] + shorter * step[i], lower[a]), upper[a])
    for j in range(source.size):
        joints[j] = ratio[j] * trial[source[j]]
    promised = 0.0
    for a in range(m):
        moved = trial[a] - motors[a]
        promised -= gradient[a] * moved
        for b in range(m):
            promised -= 0.5 * moved * model[a, b] * (trial[b] - motors[b])
    return residual, promised
