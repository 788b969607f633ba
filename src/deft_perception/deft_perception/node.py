"""The perception node: `observe` segments the object in fresh, synchronised images."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

import cv2
import numpy as np
from deft_msgs.msg import ObjectObservation
from deft_msgs.srv import Observe
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PointStamped
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from deft_core.config import parse
from deft_core.descriptions import load_task
from deft_core.errors import ConfigError, DeftError
from deft_core.ros import conversions as conv
from deft_core.ros import names
from deft_core.ros.camera_pose import CameraPose, TransformProblem
from deft_core.ros.images import ImageSet, ImageSynchronizer
from deft_core.ros.node import (
    DeftNode,
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
from deft_perception.backends import BACKENDS, MATCHERS, make_matcher, make_segmenter
from deft_perception.camera_watch import CameraWatch
from deft_perception.clicks import Clicks
from deft_perception.clip import ClipConfig
from deft_perception.debug_pictures import DebugPictures
from deft_perception.look import LookConfig
from deft_perception.markers import observation_markers
from deft_perception.nouns import NounMatcher
from deft_perception.observation import Frame, Observation, Observer
from deft_perception.sam import SamConfig
from deft_perception.scene import Prompt
from deft_perception.table import TableConfig
from deft_perception.tabletop import TabletopConfig

MAX_TIMEOUT = 60.0        # s
DIAGNOSTICS_PERIOD = 1.0  # s
LATENCIES = 20            # looks that the median latency is taken over


class PerceptionNode(DeftNode):
    """Service `deft/observe`; listens to clicks; publishes the mask overlay for people and diagnostics."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__("deft_perception", **kwargs)
        self._config_dir = declare_config_dir(self)
        self._robot = declare_robot(self, self._config_dir)
        self._timeout = declare(self, "image_timeout", 2.0, "s of wall time to wait for fresh images, unless asked otherwise",
                                low=0.1, high=60.0)
        backend = declare(self, "backend", "tabletop", "segmentation: " + " or ".join(BACKENDS))
        matcher = declare(self, "matcher", "nouns", "what finds things by name: " + " or ".join(MATCHERS))
        pictures = declare(self, "debug_dir", "~/.deft/perception", "folder for pictures of looks that went wrong; "
                                                                    "the last 50 stay")
        tabletop, table = declare_fields(self, TabletopConfig, "tabletop."), declare_fields(self, TableConfig, "table.")
        sam, clip = declare_fields(self, SamConfig, "sam."), declare_fields(self, ClipConfig, "clip.")
        refuse_unknown_parameters(self)
        camera = self._robot.camera
        self._segmenter = make_segmenter(backend, tabletop, sam, (camera.height, camera.width))
        self._matcher = make_matcher(matcher, self._config_dir, clip)
        self._observer = Observer(self._robot, self._segmenter, self._matcher, table)
        self._camera_pose = CameraPose(self, self._robot)
        self._pictures = DebugPictures(Path(pictures).expanduser())
        self._watch, self._clicks = CameraWatch(camera.frozen_frames), Clicks(self._robot)
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._last_problem = ""
        self._images = ImageSynchronizer(self, camera, ReentrantCallbackGroup(),
                                         on_set=lambda images: self._watch.seen(images.stamp, images.received,
                                                                                images.depth.data))
        self._overlay = self.create_publisher(Image, names.MASK_OVERLAY, LATCHED)
        self._markers = self.create_publisher(MarkerArray, names.OBSERVED_MARKERS, LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        quick = MutuallyExclusiveCallbackGroup()
        self.create_subscription(PointStamped, "/clicked_point", self._clicked, 10, callback_group=quick)
        self.create_timer(DIAGNOSTICS_PERIOD, self._diagnose, callback_group=quick)
        self.create_service(Observe, names.OBSERVE, self._observe, callback_group=MutuallyExclusiveCallbackGroup())

    # -- observing ------------------------------------------------------------------------------------

    def _observe(self, request: Observe.Request, response: Observe.Response) -> Observe.Response:
        with answering(self, response, codes.BAD_INPUT):
            look, text = self._task(request.task)
            prompt = self._prompt(request, look, text)
            response.observation = self._seen(request, prompt, look)
        return response

    def _seen(self, request: Observe.Request, prompt: Prompt, look: LookConfig) -> ObjectObservation:
        """Wait for images, look, and keep a picture where something is wrong."""
        frame = None
        try:
            images = self._fresh(request)
            self._watch.check()
            frame = self._frame(images)
            if self._robot.camera.tf:
                self._place_camera(images)
            started = time.perf_counter()
            seen = self._looked(frame, prompt, look)
            self._latencies.append(time.perf_counter() - started)
        except DeftError as error:
            self._last_problem = f"{error.code}: {error.message}"
            frame = frame or self._last_frame()
            path = self._pictures.save(f"refused {error.code}", error.message, frame.rgb if frame else None,
                                       frame.depth if frame else None)
            raise DeftError(error.code, error.message + (f" (picture: {path})" if path else "")) from None
        if prompt.point is not None:
            self._clicks.used(prompt.point)
        self._last_problem = "; ".join(seen.warnings)
        picture = self._pictures.save(f"quality {seen.quality}", self._last_problem, frame.rgb, frame.depth,
                                      seen.mask) if seen.quality else None
        self._overlay.publish(self._drawn(frame, seen, images.rgb.header))
        message = self._message(request.task, images, frame, seen, picture)
        self._markers.publish(observation_markers(message))
        return message

    def _place_camera(self, images: ImageSet) -> None:
        """Where tf2 has the camera at the picture's time. Raises DeftError CAMERA_STALE, upon which the session waits."""
        try:
            self._observer.place_camera(self._camera_pose.at(images.rgb.header.stamp))
        except TransformProblem as problem:
            raise DeftError(codes.CAMERA_STALE, str(problem)) from None

    def _looked(self, frame: Frame, prompt: Prompt, look: LookConfig) -> Observation:
        try:
            return self._observer.observe(frame, prompt, look)
        except (RuntimeError, MemoryError) as error:  # what torch raises, out of memory for one
            raise DeftError(codes.BACKEND_FAILED, f"backend '{self._segmenter.name}' with matcher '{self._matcher.name}' "
                            f"failed: {error}; use a smaller model, the CPU, or backend tabletop with matcher nouns") from error

    def _task(self, task: str) -> tuple[LookConfig, str]:
        """What a task's look says, and its text; without a task, all of whatever stands there."""
        if not task:
            return LookConfig(), ""
        try:
            description = load_task(self._config_dir, task)
            return parse(LookConfig, description.look, f"task '{task}', look"), description.text
        except ConfigError as error:
            raise DeftError(codes.BAD_INPUT, str(error)) from None

    def _prompt(self, request: Observe.Request, look: LookConfig, text: str) -> Prompt:
        """The first that is given of: the request's pixel or box, a click, the request's noun, the task's, its text's."""
        point, box = request.prompt_point, request.prompt_box
        if len(point) not in (0, 2):
            raise DeftError(codes.BAD_INPUT, f"prompt_point has {len(point)} numbers, needs u and v (or none)")
        if len(point) and not np.isfinite(point).all():
            raise DeftError(codes.BAD_INPUT, "prompt_point is not finite")
        if len(point):
            return Prompt(point=(float(point[0]), float(point[1])))
        if box.width:
            corners = (box.x_offset, box.y_offset, box.x_offset + box.width, box.y_offset + box.height)
            return Prompt(box=tuple(map(float, corners)))
        if (click := self._clicks.pixel()) is not None:
            return Prompt(point=click)
        if request.prompt_text:
            return Prompt(noun=request.prompt_text)
        if look.prompt() != Prompt():
            return look.prompt()
        return Prompt(noun=self._matcher.noun_in(text) if isinstance(self._matcher, NounMatcher) else text)

    def _fresh(self, request: Observe.Request) -> ImageSet:
        timeout = request.timeout or self._timeout
        if not 0.0 < timeout <= MAX_TIMEOUT:
            raise DeftError(codes.BAD_INPUT, f"timeout is {timeout}, needs seconds up to {MAX_TIMEOUT:.0f}")
        images = self._images.newer_than(conv.stamp_nanoseconds(request.min_stamp), timeout)
        if images is None:
            self._watch.check()  # a clock that was set back makes all images older than what is asked for
            silent = self._images.silence()
            since = "no complete set of images has arrived yet" if np.isinf(silent) else f"silent for {silent:.1f} s"
            topics = ", ".join(topic for _, topic in self._images.topics.values())
            raise DeftError(codes.CAMERA_STALE, f"waiting for the camera: {since}; check the camera driver, and that "
                            f"{topics} carry equal stamps (align_depth and enable_sync)")
        return images

    @staticmethod
    def _frame(images: ImageSet) -> Frame:
        try:
            return Frame(conv.image_from_msg(images.rgb, "rgb8"), conv.depth_from_msg(images.depth),
                         conv.intrinsics_from_msg(images.info))
        except ValueError as error:
            raise DeftError(codes.BAD_INPUT, str(error)) from None

    def _last_frame(self) -> Frame | None:
        """The last images that came, for a picture of why others do not come."""
        latest = self._images.latest()
        try:
            return self._frame(latest) if latest else None
        except DeftError:
            return None

    # -- clicks and diagnostics -------------------------------------------------------------------------

    def _clicked(self, message: PointStamped) -> None:
        try:
            latest = self._images.latest()
            intrinsics = conv.intrinsics_from_msg(latest.info) if latest else self._robot.camera.intrinsics()
            u, v = self._clicks.add(conv.xyz(message.point), message.header.frame_id, intrinsics, self._observer.camera_pose)
            self.get_logger().info(f"click at pixel ({u:.0f}, {v:.0f}): the next look takes what stands there")
        except (DeftError, ValueError) as error:
            self.get_logger().warning(str(error))

    def _diagnose(self) -> None:
        silent = self._images.silence()
        late = silent > self._timeout
        values = {"backend": self._segmenter.name, "matcher": self._matcher.name,
                  "seconds since the last images": f"{silent:.2f}", "looks": str(len(self._latencies)),
                  "last problem": self._last_problem}
        if self._latencies:
            values["last segmentation, ms"] = f"{self._latencies[-1] * 1e3:.1f}"
            values["median segmentation, ms"] = f"{float(np.median(self._latencies)) * 1e3:.1f}"
        status = DiagnosticStatus(
            level=DiagnosticStatus.STALE if late else DiagnosticStatus.WARN if self._last_problem else DiagnosticStatus.OK,
            name="deft_perception", hardware_id=self._robot.camera.namespace,
            message="no images" if late else self._last_problem or "looking",
            values=[KeyValue(key=key, value=value) for key, value in values.items()])
        self._diagnostics.publish(DiagnosticArray(header=Header(stamp=self.get_clock().now().to_msg()), status=[status]))

    # -- messages -----------------------------------------------------------------------------------------

    def _message(self, task: str, images: ImageSet, frame: Frame, seen: Observation, picture: Path | None) -> ObjectObservation:
        header = Header(stamp=images.rgb.header.stamp, frame_id=self._robot.camera.frame)
        base = Header(stamp=header.stamp, frame_id=self._robot.base_frame)
        u, v, width, height = seen.roi
        depth = np.where(np.isfinite(frame.depth), np.clip(np.round(frame.depth * 1000), 0, 65535), 0).astype(np.uint16)
        return ObjectObservation(
            header=header, task=task, base_frame=self._robot.base_frame,
            rgb_crop=conv.image_to_msg(np.ascontiguousarray(frame.rgb[v:v + height, u:u + width]), "rgb8", header),
            mask=conv.image_to_msg((seen.mask * 255).astype(np.uint8), "mono8", header),
            roi=RegionOfInterest(x_offset=u, y_offset=v, width=width, height=height),
            aligned_depth=conv.image_to_msg(depth, "16UC1", header), camera_info=images.info,
            picture=conv.jpeg_msg(frame.rgb, header),
            camera_pose=conv.pose_msg(self._observer.camera_pose),
            centroid=conv.point_msg(seen.centroid), extent=conv.vector_msg(seen.extent),
            box_centre=conv.point_msg(seen.box_centre), cloud=conv.cloud_msg(seen.cloud, base),
            surroundings=conv.cloud_msg(seen.surroundings, base), table_height=seen.table_height,
            mask_score=float(seen.mask_score), depth_valid_fraction=seen.depth_valid_fraction, quality_flags=seen.quality,
            warnings=list(seen.warnings), debug_picture=str(picture or ""))

    @staticmethod
    def _drawn(frame: Frame, seen: Observation, header: Header) -> Image:
        picture = frame.rgb.copy()
        picture[seen.mask] = (0.5 * picture[seen.mask] + [0, 128, 0]).astype(np.uint8)
        u, v, width, height = seen.roi
        cv2.rectangle(picture, (u, v), (u + width, v + height), (0, 255, 0), 1)
        return conv.image_to_msg(picture, "rgb8", header)

    def destroy_node(self) -> None:
        """Stop listening to transforms."""
        self._camera_pose.close()
        super().destroy_node()


def main() -> None:
    """Executable `perception_node`."""
    run_node(PerceptionNode)


if __name__ == "__main__":
    main()
