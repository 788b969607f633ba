"""Motions are sent as rolling windows: a controller never holds more of a motion than the next half second.

A whole trajectory would be followed to its end whoever has died meanwhile. A window holds the next MOVING seconds of the
motion and then BRAKE seconds that slow down along the motion's own way to rest. While the sender lives, the next window
replaces it before the brake begins; where none comes, the arm is at rest after MOVING + BRAKE seconds at the latest. It
needs nothing of the controller but what a JointTrajectoryController does: stamped trajectories that end at rest and
replace each other.

Header.frame_id of a trajectory, which such controllers do not read, says CONTINUES where more is to come.
"""

from __future__ import annotations

import numpy as np

from deft_core.types import Array

MOVING = 0.3   # s of the motion in a window
BRAKE = 0.2    # s from its end to rest
LEAD = 0.2     # s before the brake of a window would begin, the next one is sent
OVERLAP = 0.1  # s of the way behind that a window repeats: a controller that lags behind the joint states is on it, too
START_DELAY = 0.15  # s from the latest joint state to the start of a motion, so that arm and hand start together
CONTINUES = "continues"


def as_sent(times: Array) -> Array:
    """Times (k,), s, as a controller gets them: messages carry whole nanoseconds."""
    nanoseconds = np.round(times * 1e9)
    seconds = np.floor(nanoseconds / 1e9)
    return seconds + 1e-9 * (nanoseconds - 1e9 * seconds)
