"""Notices a camera that sends the same picture again and again, and a camera clock that jumps."""

from __future__ import annotations

import zlib
from array import array

from deft_core.errors import DeftError
from deft_perception import codes

MAX_GAP = 60.0  # s of camera clock between two pictures, more is a jump: simulated clocks may run fast


class CameraWatch:
    """Fed with every set of images.

    Args:
        frozen_frames: as many equal depth images in a row mean that the camera is frozen; 0 = never.
    """

    def __init__(self, frozen_frames: int) -> None:
        self._frozen_frames = frozen_frames
        self._last_stamp: int | None = None
        self._last_sum = 0
        self._equal = 1
        self._jump = 0.0

    def seen(self, stamp: int, depth: bytes | array[int]) -> None:
        """A set arrived: `stamp` in ns of camera clock, the depth image's bytes. Noise makes no two of them equal."""
        if self._last_stamp is not None:
            gap = (stamp - self._last_stamp) / 1e9
            if gap < 0 or gap > MAX_GAP:
                self._jump = gap
        self._last_stamp = stamp
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
