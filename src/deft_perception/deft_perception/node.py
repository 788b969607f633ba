"""The perception node: `observe` segments the object in fresh, synchronised images."""

from __future__ import annotations

import cv2
import numpy as np
from deft_msgs.msg import ObjectObservation
from deft_msgs.srv import Observe
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header

from deft_core.config import parse
from deft_core.descriptions import load_task
from deft_core.errors import ConfigError, DeftError
from deft_core.ros import conversions as conv
from deft_core.ros import names
from deft_core.ros.images import ImageSet, ImageSynchronizer
from deft_core.ros.node import (
    answering,
    declare,
    declare_config_dir,
    declare_fields,
    declare_robot,
    refuse_unknown_parameters,
    run_node,
)
from deft_core.ros.qos import LATCHED
from deft_perception import codes
from deft_perception.observation import Frame, Observation, observe
from deft_perception.segmentation import LookConfig, Prompt, TabletopConfig

MAX_TIMEOUT = 60.0  # s


class PerceptionNode(Node):
    """Service `deft/observe`; publishes the mask overlay for people on `deft/mask_overlay`."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__("deft_perception", **kwargs)
        self._config_dir = declare_config_dir(self)
        self._robot = declare_robot(self, self._config_dir)
        self._timeout = declare(self, "image_timeout", 2.0, "s of wall time to wait for fresh images, unless asked otherwise")
        self._tabletop = declare_fields(self, TabletopConfig, "tabletop.")
        refuse_unknown_parameters(self)
        self._images = ImageSynchronizer(self, self._robot.camera, ReentrantCallbackGroup())
        self._overlay = self.create_publisher(Image, names.MASK_OVERLAY, LATCHED)
        self.create_service(Observe, names.OBSERVE, self._observe, callback_group=MutuallyExclusiveCallbackGroup())

    def _observe(self, request: Observe.Request, response: Observe.Response) -> Observe.Response:
        with answering(self, response, codes.BAD_INPUT):
            prompt, look = self._prompt(request), self._look(request.task)
            images = self._fresh(request)
            frame = self._frame(images)
            seen = observe(frame, self._robot.camera.optical_in_base.pose(), self._robot.object_region, prompt,
                           self._tabletop, look)
            response.observation = self._message(request.task, images, frame, seen)
            self._overlay.publish(self._drawn(frame, seen, images.rgb.header))
        return response

    def _look(self, task: str) -> LookConfig:
        """Which part of the object a task is about; without a task, all of it."""
        if not task:
            return LookConfig()
        try:
            return parse(LookConfig, load_task(self._config_dir, task).look, f"task '{task}', look")
        except ConfigError as error:
            raise DeftError(codes.BAD_INPUT, str(error)) from None

    def _fresh(self, request: Observe.Request) -> ImageSet:
        timeout = request.timeout or self._timeout
        if not 0.0 < timeout <= MAX_TIMEOUT:
            raise DeftError(codes.BAD_INPUT, f"timeout is {timeout}, needs seconds up to {MAX_TIMEOUT:.0f}")
        images = self._images.newer_than(conv.stamp_nanoseconds(request.min_stamp), timeout)
        if images is None:
            silent = self._images.silence()
            since = "no complete set of images has arrived yet" if np.isinf(silent) else f"silent for {silent:.1f} s"
            topics = ", ".join(topic for _, topic in self._images.topics.values())
            raise DeftError(codes.CAMERA_STALE, f"waiting for the camera: {since}; check the camera driver, and that "
                            f"{topics} carry equal stamps (align_depth and enable_sync)")
        return images

    @staticmethod
    def _frame(images: ImageSet) -> Frame:
        try:
            return Frame(conv.image_from_msg(images.rgb, "rgb8"), conv.image_from_msg(images.depth, "16UC1"),
                         conv.intrinsics_from_msg(images.info))
        except ValueError as error:
            raise DeftError(codes.BAD_INPUT, str(error)) from None

    @staticmethod
    def _prompt(request: Observe.Request) -> Prompt:
        point, box = request.prompt_point, request.prompt_box
        if len(point) not in (0, 2):
            raise DeftError(codes.BAD_INPUT, f"prompt_point has {len(point)} numbers, needs u and v (or none)")
        if len(point) and not np.isfinite(point).all():
            raise DeftError(codes.BAD_INPUT, "prompt_point is not finite")
        corners = (box.x_offset, box.y_offset, box.x_offset + box.width, box.y_offset + box.height)
        return Prompt(point=(float(point[0]), float(point[1])) if len(point) else None,
                      box=tuple(map(float, corners)) if box.width else None)

    def _message(self, task: str, images: ImageSet, frame: Frame, seen: Observation) -> ObjectObservation:
        header = Header(stamp=images.rgb.header.stamp, frame_id=self._robot.camera.frame)
        u, v, width, height = seen.roi
        return ObjectObservation(
            header=header, task=task, base_frame=self._robot.base_frame,
            rgb_crop=conv.image_to_msg(np.ascontiguousarray(frame.rgb[v:v + height, u:u + width]), "rgb8", header),
            mask=conv.image_to_msg((seen.mask * 255).astype(np.uint8), "mono8", header),
            roi=RegionOfInterest(x_offset=u, y_offset=v, width=width, height=height),
            aligned_depth=images.depth, camera_info=images.info, picture=conv.jpeg_msg(frame.rgb, header),
            camera_pose=conv.pose_msg(self._robot.camera.optical_in_base.pose()),
            centroid=conv.point_msg(seen.centroid), extent=conv.vector_msg(seen.extent),
            box_centre=conv.point_msg(seen.box_centre), table_height=seen.table_height, mask_score=float(seen.mask_score),
            depth_valid_fraction=seen.depth_valid_fraction, quality_flags=seen.quality)

    @staticmethod
    def _drawn(frame: Frame, seen: Observation, header: Header) -> Image:
        picture = frame.rgb.copy()
        picture[seen.mask] = (0.5 * picture[seen.mask] + [0, 128, 0]).astype(np.uint8)
        u, v, width, height = seen.roi
        cv2.rectangle(picture, (u, v), (u + width, v + height), (0, 255, 0), 1)
        return conv.image_to_msg(picture, "rgb8", header)


def main() -> None:
    """Executable `perception_node`."""
    run_node(PerceptionNode)


if __name__ == "__main__":
    main()
