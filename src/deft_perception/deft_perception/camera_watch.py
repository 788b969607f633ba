"""Notices a camera that sends the same picture again and again, and a camera clock that jumps."""

from __future__ import annotations

import zlib
from array import array

from deft_core.errors import DeftError
from deft_perception import codes

MAX_AHEAD = 60.0  # s that the camera's clock may run ahead between two pictures: simulated clocks may run fast
MAX_BACK = 1.0    # s, sets may be completed out of order by this much


class CameraWatch:
    """Fed with every set of images.

    Args:
        frozen_frames: as many equal depth images in a row mean that the camera is frozen; 0 = never.
    """

    def __init__(self, frozen_frames: int) -> None:
        self._frozen_frames = frozen_frames
        self._last: tuple[int, float] | None = None  # stamp, ns, and when it came, s
        self._last_sum = 0
        self._equal = 1
        self._jump = 0.0

    def seen(self, stamp: int, received: float, depth: bytes | array[int]) -> None:
        """A set arrived. Noise makes no two depth images equal.

        Args:
            stamp: ns of camera clock.
            received: s of a monotonic clock.
            depth: the depth image's bytes.
        """
        if self._last is not None:
            gap = (stamp - self._last[0]) / 1e9
            if gap < -MAX_BACK or gap - (received - self._last[1]) > MAX_AHEAD:
                self._jump = gap
        self._last = stamp, received
        if self._frozen_frames:
            checksum = zlib.crc32(depth)
            self._equal = self._equal + 1 if checksum == self._last_sum else 1
            self._last_sum = checksum

    def check(self) -> None:
        """A clock jump is reported once: what is seen afterwards is good again.

        Raises:
            DeftError: CLOCK_JUMP or CAMERA_FROZEN.
        """
        if self._jump:
            jump, self._jump = self._jump, 0.0
            raise DeftError(codes.CLOCK_JUMP, f"the camera's clock jumped by {jump:+.1f} s (time was set, or a bag began "
                            "again); look once more, and set the time of all machines before a session")
        if self._frozen_frames and self._equal >= self._frozen_frames:
            raise DeftError(codes.CAMERA_FROZEN, f"the last {self._equal} depth images are the same to the bit; the camera "
                            "hangs or is covered: replug it, restart its driver (for a simulated camera set "
                            "camera.frozen_frames: 0)")
