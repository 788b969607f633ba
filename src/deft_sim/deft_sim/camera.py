"""A RealSense-like RGB-D camera: rgb8 and 16UC1 millimetres aligned to colour, with a D435's holes."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from deft_core.descriptions import CameraConfig

MIN_RANGE, MAX_RANGE = 0.20, 3.0    # m, outside a D435 gives no depth
GRAZING_DEGREES = 80.0              # surfaces seen flatter than this give no depth
NOISE_AT_1M = 0.0015                # m, standard deviation, growing with the square of the distance


class SimCamera:
    """Renders the camera named `camera` of a model. Must be used from one thread (OpenGL)."""

    def __init__(self, model: mujoco.MjModel, config: CameraConfig) -> None:
        self._config = config
        self._renderer = mujoco.Renderer(model, config.height, config.width)
        self._option = mujoco.MjvOption()
        self._option.geomgroup[3] = 0  # collision shapes

    def close(self) -> None:
        self._renderer.close()

    def render(self, data: mujoco.MjData, noise_seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """One frame.

        Args:
            noise_seed: the same world and seed give the same frame.

        Returns:
            rgb (h, w, 3) uint8 and depth (h, w) uint16 in millimetres along the optical axis, 0 = none.
        """
        self._renderer.disable_depth_rendering()
        self._renderer.update_scene(data, "camera", self._option)
        rgb = self._renderer.render().copy()
        self._renderer.enable_depth_rendering()
        self._renderer.update_scene(data, "camera", self._option)
        return rgb, self.sensor(self._renderer.render(), noise_seed)

    def sensor(self, depth: NDArray[np.float32], noise_seed: int) -> NDArray[np.uint16]:
        """What a stereo depth sensor would report of a perfect depth image (h, w) in metres."""
        rng = np.random.default_rng(noise_seed)
        z = depth.astype(np.float64)
        noisy = z + NOISE_AT_1M * z**2 * rng.standard_normal(z.shape)
        # Across one pixel, a surface tilted by a from facing the camera changes by z tan(a) / f.
        step = np.maximum(np.abs(np.gradient(z, axis=0)), np.abs(np.gradient(z, axis=1)))
        grazing = step * self._config.fx / z > np.tan(np.radians(GRAZING_DEGREES))
        lost = grazing | (z < MIN_RANGE) | (z > MAX_RANGE)
        return np.where(lost, 0, np.round(noisy * 1000.0)).astype(np.uint16)
