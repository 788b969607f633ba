"""Skills over ROS: the running graph, the pictures that are kept of it, and what is asked of the operator."""

from __future__ import annotations

import io
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
from deft_msgs.msg import Affordance, GraspProposal, ObjectObservation, RewardRequest
from deft_msgs.srv import CheckGrasp
from PIL import Image
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CompressedImage

from deft_cem import codes
from deft_cem.policy_client import PolicyClient
from deft_cem.recorder import Recorder
from deft_cem.residual_markers import residual_markers
from deft_cem.skills import Look, Outcome, Proposal, Request
from deft_core.descriptions import CameraConfig, TaskConfig
from deft_core.residual import ResidualSpace
from deft_core.ros import conversions as conv
from deft_core.ros import qos
from deft_core.ros.grasp_graph import GraspGraph
from deft_core.ros.images import AnyImage, colour_topic
from deft_core.types import Array, GraspParameters
from deft_core.vision import Picture

BEFORE_LETTING_GO = ("close", "squeeze", "trajectory", "hold")  # phases; after them the grasp is undone
PICTURE_SECONDS, PICTURES = 0.4, 100  # s of camera clock between pictures that are kept during a grasp, and how many
AFTER_IMAGE_SECONDS = 1.0  # waited for a picture taken after parking


class GraphSkills:
    """Skills of the running graph; see deft_cem.skills.Skills for the methods.

    Attributes:
        observation, affordance: the messages of the episode in progress, for its record.
        image_end, image_after: pictures of the last execution, before the hand let go and after parking.
    """

    def __init__(self, node: Node, camera: CameraConfig, task: TaskConfig, object_set: str, group: CallbackGroup,
                 requests: Publisher,
                 tell_proposal: Callable[..., None], space: ResidualSpace, pictures: Path, recorder: Recorder,
                 policy: PolicyClient, cancelled: Callable[[], bool]) -> None:
        self._task, self._object_set, self._requests = task, object_set, requests
        self._tell_proposal, self._space, self._checked = tell_proposal, space, CheckGrasp.Response()
        self._pictures, self._recorder, self._policy = pictures, recorder, policy
        self._graph = GraspGraph(node, task, group, codes.PIPELINE_FAILED, cancelled)
        self._image: AnyImage | None = None
        self._lately: deque[tuple[float, AnyImage]] = deque(maxlen=PICTURES)  # with their stamps, s
        self._image_arrived = threading.Event()
        self._subscription = node.create_subscription(*colour_topic(camera), self._keep_image,
                                                      qos.images(camera.reliability),
                                                      callback_group=MutuallyExclusiveCallbackGroup())
        self._node = node
        self.observation, self.affordance = ObjectObservation(), Affordance()
        self.image_end, self.image_after = CompressedImage(), CompressedImage()

    def close(self) -> None:
        """Give the clients back to the node."""
        self._node.destroy_subscription(self._subscription)
        self._graph.close()
        self._policy.close()

    def _keep_image(self, message: AnyImage) -> None:
        self._image = message
        stamp = conv.stamp_seconds(message.header.stamp)
        if self._lately and stamp < self._lately[-1][0]:  # the clock was set back
            self._lately.clear()
        if not self._lately or stamp - self._lately[-1][0] >= PICTURE_SECONDS:
            self._lately.append((stamp, message))
        self._image_arrived.set()
        self._recorder.keep_image(message)

    def _image_between(self, start: float, end: float) -> AnyImage | None:
        """The newest kept picture from `start` to `end`, s, robot clock; None without one."""
        return next((image for stamp, image in reversed(self._lately) if start <= stamp <= end), None)

    def observe(self, task: str) -> Look:
        """See Skills."""
        self.observation, self.affordance = ObjectObservation(), Affordance()
        self.image_end, self.image_after = CompressedImage(), CompressedImage()
        self.observation = self._graph.observe()
        seen = self.observation
        return Look(seen, {"stamp": conv.stamp_nanoseconds(seen.header.stamp), "quality_flags": seen.quality_flags,
                           "roi": [seen.roi.x_offset, seen.roi.y_offset, seen.roi.width, seen.roi.height],
                           "box_centre": conv.xyz(seen.box_centre).tolist(), "extent": conv.xyz(seen.extent).tolist(),
                           "table_height": seen.table_height, "depth_valid_fraction": float(seen.depth_valid_fraction),
                           "mask_score": float(seen.mask_score), "warnings": list(seen.warnings)})

    def predict(self, look: Look, task: str, seed: int) -> GraspParameters:
        """See Skills."""
        self.affordance, xi = self._graph.predict(look.handle, seed)
        return xi

    def check(self, grasp: GraspParameters, look: Look, task: str) -> None:
        """See Skills."""
        self._checked = self._graph.check(grasp, look.handle)

    def execute(self, grasp: GraspParameters, look: Look, task: str, seed: int, on_phase: Callable[[str], None]) -> Outcome:
        """See Skills."""
        result = self._graph.execute(grasp, look.handle, seed, on_phase)
        phases = conv.phases_from_msg(result.phases)
        held = [(start, end) for name, start, end in phases if name in BEFORE_LETTING_GO]
        self.image_end = self._jpeg(self._image_between(held[0][0], held[-1][1]) if held else None)
        return Outcome(conv.grasp_from_msg(result.executed), result.clearance_lift, result.stop_reason,
                       conv.phases_from_msg(result.phases), result.planning_seconds)

    def propose(self, proposal: Proposal | None) -> None:
        """See Skills. Publishes the latched proposal, and eps as arrows from the prior's grasp."""
        if proposal is None:
            self._tell_proposal(GraspProposal())
            return
        seen, checked = self.observation, self._checked
        message = GraspProposal(
            session=proposal.session, task=self._task.name, episode=proposal.episode, attempt=proposal.attempt,
            draw=proposal.draw, needs_answer=proposal.needs_answer, xi=conv.grasp_to_msg(proposal.xi),
            eps=conv.residual_to_msg(self._space, proposal.eps), executed=checked.executed, control=proposal.control,
            repeat_of=-1 if proposal.repeat_of is None else proposal.repeat_of, picture=seen.picture,
            camera_info=seen.camera_info, camera_pose=seen.camera_pose, contact_pixels=self.affordance.contact_pixels,
            preview=checked.preview)
        message.header.stamp, message.header.frame_id = seen.header.stamp, seen.base_frame
        self._tell_proposal(message, residual_markers(message))

    def residual(self, look: Look, xi: GraspParameters, seed: int) -> Array:
        """See Skills."""
        return self._policy.residual(look.handle, xi, seed)

    def fit_policy(self, seed: int, on_progress: Callable[[str], None]) -> str:
        """See Skills."""
        with self._recorder.whole():
            return self._policy.fit(seed, on_progress)

    def park(self, seed: int) -> None:
        """See Skills."""
        self._graph.park(seed)

    def ask(self, request: Request | None) -> None:
        """See Skills. Publishes the latched request; without one, an empty one."""
        if request is None:
            self._requests.publish(RewardRequest())
            return
        kind = (RewardRequest.RESET if request.outcome is None else
                RewardRequest.COMPARE if request.comparison else RewardRequest.REWARD)
        message = RewardRequest(kind=kind, session=request.session, episode=request.episode, attempt=request.attempt,
                                next_episode=request.next_episode, task=self._task.name, object_set=self._object_set,
                                reason=request.reason or self._task.operator_hint, suggested_reward=request.suggested,
                                other_episode=-1)
        if request.outcome:
            message.stop_reason = request.outcome["stop_reason"]
            message.phases = conv.phases_to_msg(request.outcome["phases"])
            self._add_pictures(message, request)
        if request.comparison:
            compared = request.comparison
            message.other_episode, message.question = compared.other, compared.question
            message.questions = compared.questions
            message.other_image = self._kept(compared.other, compared.other_attempt, "end")
        self._requests.publish(message)
        self._recorder.keep(self._recorder.request, message)

    def _file(self, episode: int, attempt: int, which: str) -> Path:
        return self._pictures / f"episode_{episode:03d}_{attempt}_{which}.jpg"

    def _kept(self, episode: int, attempt: int, which: str) -> CompressedImage:
        """A picture kept from when it happened: before | end | after; empty where there is none."""
        try:
            return CompressedImage(format="jpeg", data=self._file(episode, attempt, which).read_bytes())
        except OSError:
            return CompressedImage()

    def final_picture(self, episode: int, attempt: int) -> Picture | None:
        """See Skills."""
        self._keep(episode, attempt, "end", self.image_end)
        data = bytes(self._kept(episode, attempt, "end").data)
        try:
            return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) if data else None
        except OSError:  # damaged on disk
            return None

    def _keep(self, episode: int, attempt: int, which: str, picture: CompressedImage) -> None:
        """Write a picture, unless it is empty or kept already. Pictures are a help, not the record."""
        path = self._file(episode, attempt, which)
        if not picture.data or path.exists():
            return
        try:
            self._pictures.mkdir(exist_ok=True)
            temporary = path.with_suffix(".tmp")
            temporary.write_bytes(bytes(picture.data))
            temporary.replace(path)
        except OSError as error:
            self._node.get_logger().warning(f"picture of episode {episode}: {error}")

    def _picture_after(self, end: float) -> CompressedImage:
        """A picture taken after `end` (s, robot clock), or the newest there is; empty without any."""
        deadline = time.monotonic() + AFTER_IMAGE_SECONDS
        while time.monotonic() < deadline:
            image = self._image
            if image is not None and conv.stamp_seconds(image.header.stamp) >= end:
                break
            self._image_arrived.clear()
            self._image_arrived.wait(0.2)
        return self._jpeg(self._image)

    @staticmethod
    def _jpeg(image: AnyImage | None) -> CompressedImage:
        """Empty without an image, or with one that cannot be read."""
        if image is None:
            return CompressedImage()
        try:
            return conv.jpeg_msg(conv.image_from_msg(image, "rgb8"), image.header)
        except ValueError:
            return CompressedImage()

    def _add_pictures(self, message: RewardRequest, request: Request) -> None:
        """Before, end and after: those kept from when it happened, else taken now and kept."""
        assert request.outcome is not None
        episode, attempt = request.episode, request.attempt
        if not self._file(episode, attempt, "after").exists():
            self._keep(episode, attempt, "after", self._picture_after(max((b for _, _, b in request.outcome["phases"]),
                                                                          default=0.0)))
            self._keep(episode, attempt, "end", self.image_end)
            if request.look:
                self._keep(episode, attempt, "before", request.look.handle.picture)
        message.image_before = self._kept(episode, attempt, "before")
        message.image_end = self.image_end = self._kept(episode, attempt, "end")
        message.image_after = self.image_after = self._kept(episode, attempt, "after")
