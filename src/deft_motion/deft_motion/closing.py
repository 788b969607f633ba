"""Closing until it touches: each joint of the hand goes on from where the grasp has it until something holds it up.

People's grasps are seen as they touch, with skin that gives; a robot's hand of the same posture touches nothing yet, or
hardly. How far it has to go on differs from object to object, and only the hand can tell.
"""

from __future__ import annotations

import numpy as np

from deft_core.descriptions import HandConfig
from deft_core.hardware import Touch
from deft_core.types import Array

SLACK = 0.3  # rad, a path of the hand begins no further than this from where the joints are


class UntilTouch:
    """Where the hand is sent next, from where it was sent and where it came to.

    Args:
        grasp: (n,) rad, the joints of the grasp, where it has been sent already.
    """

    def __init__(self, hand: HandConfig, touch: Touch, grasp: Array) -> None:
        self._hand, self._touch = hand, touch
        self._squeeze = np.array(hand.squeeze)
        self._way = np.sign(self._squeeze)
        self._furthest = hand.followed(grasp + touch.reach * self._way)
        self._free = self._way != 0.0
        self.command = np.asarray(grasp, float)

    def further(self, measured: Array) -> Array | None:
        """(n,) rad, a step on of the joints that nothing holds up; None when there is none left.

        What holds one joint up holds up those of the same motor.

        Args:
            measured: (n,) rad, where the hand came to rest.
        """
        behind, left = (self.command - measured) * self._way, (self._furthest - self.command) * self._way
        self._free &= (behind < self._touch.behind) & (left > 1e-9)
        source, _ = self._hand.coupling()
        self._free &= ~np.isin(source, source[~self._free])
        if not self._free.any():
            return None
        step = np.where(self._free, np.minimum(self._touch.step, left), 0.0)
        self.command = self._hand.followed(self.command + step * self._way)
        return self.command

    def start(self, measured: Array) -> Array:
        """(n,) rad, where the next path begins: at the command, or within SLACK of the joints, as the gate asks."""
        return np.asarray(measured + np.clip(self.command - measured, -SLACK, SLACK))

    def squeezed(self, measured: Array) -> Array:
        """(n,) rad, beyond where the joints touch by the hand's squeeze; joints that do not close stay as commanded."""
        return self._hand.followed(np.where(self._way != 0.0, measured + self._squeeze, self.command))
