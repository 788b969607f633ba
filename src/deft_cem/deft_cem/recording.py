"""What of a session goes into its bag, and how often."""

from __future__ import annotations

from pydantic import Field

from deft_core.config import Config


class RecordConfig(Config):
    """Parameters `record.*`. Records of episodes, statuses and requests are kept whole whatever stands here."""

    bag: bool = Field(default=True, description="write a bag (MCAP) into the session's folder; needed to fit the policy")
    camera_rate: float = Field(default=1.0, ge=0.0, description="Hz of the robot's clock, pictures of the camera (JPEG) beside "
                               "those before and after each grasp; 0 = none")
    joint_state_rate: float = Field(default=20.0, ge=0.0, description="Hz of the robot's clock, joint states; 0 = none")


class Pace:
    """Lets things through at no more than a rate, by their own stamps."""

    def __init__(self, rate: float) -> None:
        """`rate`: Hz; 0 lets nothing through."""
        self._gap, self._last = (1.0 / rate if rate else 0.0), -1.0

    def due(self, stamp: float) -> bool:
        """Whether what is stamped `stamp` (s) is let through. A clock that was set back begins anew."""
        if not self._gap or 0.0 <= stamp - self._last < self._gap - 1e-6:
            return False
        self._last = stamp
        return True
