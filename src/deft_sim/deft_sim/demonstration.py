"""One demonstration of a task, as a person's wrist would give it, until it comes from video.

A scene says what a person means to do (`SHOWN`); a wrist that does it moves in smooth strokes with
slow errors of some millimetres and degrees, and not quite in the time that was meant. Nothing is
optimised for the robot.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial.transform import Rotation

from deft_core.types import Array
from deft_sim.scenes import Via

RATE = 10.0               # Hz of the recorded waypoints
POSITION_ERROR = 0.003    # m, standard deviation a direction
ROTATION_ERROR = 0.03     # rad, standard deviation about an axis
ERROR_SECONDS = 0.6       # how slowly the errors change
TEMPO_ERROR = 0.1         # standard deviation of the ratio of shown to meant duration


def record(shown: tuple[Via, ...], seed: int) -> tuple[Array, Array, Array]:
    """Waypoints of one demonstration.

    Returns:
        times (k,) s since the hand closed, positions (k, 3) m along base-frame axes from the grasp, and
        rotation vectors (k, 3) rad of the turn about the grasp, base-frame axes. The first ones are zero.
    """
    rng = np.random.default_rng(seed)
    tempo = float(np.clip(1.0 + TEMPO_ERROR * rng.standard_normal(), 0.8, 1.3))
    duration = shown[-1].t * tempo
    times = np.linspace(0.0, duration, int(np.ceil(duration * RATE)) + 1)
    meant_position, meant_turn = _strokes(shown, times / tempo)
    fade = np.clip(times / ERROR_SECONDS, 0.0, 1.0)[:, None]  # the hand starts where it grasped
    position = meant_position + fade * _slow_noise(times, POSITION_ERROR, rng)
    turn = Rotation.from_rotvec(fade * _slow_noise(times, ROTATION_ERROR, rng)) * Rotation.from_rotvec(meant_turn)
    return times, position, turn.as_rotvec()


def _strokes(shown: tuple[Via, ...], times: Array) -> tuple[Array, Array]:
    """Through the via points without overshoot: smooth where they go on, at rest where they turn round or repeat."""
    keys = np.array([v.t for v in shown])
    path = PchipInterpolator(keys, np.array([(*v.xyz, *v.rotvec) for v in shown]))(np.clip(times, 0.0, keys[-1]))
    return path[:, :3], path[:, 3:]


def _slow_noise(times: Array, scale: float, rng: np.random.Generator) -> Array:
    """(k, 3) smooth random error with a standard deviation of about `scale`."""
    knots = np.arange(-ERROR_SECONDS, times[-1] + 2 * ERROR_SECONDS, ERROR_SECONDS)
    noise = CubicSpline(knots, scale * rng.standard_normal((len(knots), 3)))(times)
    return np.clip(np.asarray(noise), -2.5 * scale, 2.5 * scale)
