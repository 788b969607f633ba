"""A RealSense-like RGB-D camera: rgb8 and 16UC1 millimetres aligned to colour, with a D435's holes."""

from __future__ import annotations

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from deft_core.descriptions import CameraConfig
from deft_sim.config import RealismConfig

MIN_RANGE, MAX_RANGE = 0.20, 3.0    # m, outside a D435 gives no depth
GRAZING_DEGREES = 80.0              # surfaces seen flatter than this give no depth
BASELINE = 0.05                     # m between the two infrared imagers
PATCH = 12                          # pixels over which neighbouring errors are alike


class SimCamera:
    """Renders the camera named `camera` of a model. Must be used from one thread (OpenGL)."""

    def __init__(self, model: mujoco.MjModel, config: CameraConfig, realism: RealismConfig) -> None:
        self._config, self._realism = config, realism
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

    def truth(self, data: mujoco.MjData) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """What no sensor knows: depth (h, w) in m without errors, and the geom (h, w) seen at each pixel, -1 = none."""
        self._renderer.enable_depth_rendering()
        self._renderer.update_scene(data, "camera", self._option)
        depth = self._renderer.render().copy()
        self._renderer.disable_depth_rendering()
        self._renderer.enable_segmentation_rendering()
        self._renderer.update_scene(data, "camera", self._option)
        ids, kinds = np.moveaxis(self._renderer.render(), -1, 0)
        self._renderer.disable_segmentation_rendering()
        return depth, np.where(kinds == int(mujoco.mjtObj.mjOBJ_GEOM), ids, -1).astype(np.int32)

    def sensor(self, depth: NDArray[np.float32], noise_seed: int) -> NDArray[np.uint16]:
        """What a stereo depth sensor would report of a perfect depth image (h, w) in metres."""
        rng = np.random.default_rng(noise_seed)
        z = depth.astype(np.float64)
        small = rng.standard_normal((z.shape[0] // PATCH + 1, z.shape[1] // PATCH + 1))
        patches = cv2.resize(small, z.shape[::-1], interpolation=cv2.INTER_LINEAR)
        noise = self._realism.depth_noise * rng.standard_normal(z.shape) + self._realism.depth_patches * patches
        # Across one pixel, a surface tilted by a from facing the camera changes by z tan(a) / f.
        step = np.maximum(np.abs(np.gradient(z, axis=0)), np.abs(np.gradient(z, axis=1)))
        grazing = step * self._config.fx / z > np.tan(np.radians(GRAZING_DEGREES))
        lost = grazing | self._shadow(z) | (z < MIN_RANGE) | (z > MAX_RANGE)
        return np.where(lost, 0, np.round((z + noise * z**2) * 1000.0)).astype(np.uint16)

    def _shadow(self, z: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Pixels that the second imager does not see, because something nearer stands in between."""
        u = np.arange(z.shape[1])[None] - self._config.fx * BASELINE / np.maximum(z, 1e-3)
        nearest_to_the_right = np.minimum.accumulate(u[:, ::-1], axis=1)[:, ::-1]
        hidden = np.zeros(z.shape, bool)
        hidden[:, :-1] = nearest_to_the_right[:, 1:] < u[:, :-1] - 1.0  # a pixel is rounding, more is a shadow
        return hidden
