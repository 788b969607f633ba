"""Skills over ROS: the clients of perception, affordance, retargeting and motion."""

from __future__ import annotations

import io
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from deft_msgs.action import ExecuteGrasp, Park
from deft_msgs.msg import Affordance, ObjectObservation, RewardRequest
from deft_msgs.srv import CheckGrasp, Observe, PredictAffordance, RetargetHand
from PIL import Image
from rclpy.action import ActionClient
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CompressedImage

from deft_cem import codes
from deft_cem.rewards.automatic import Picture
from deft_cem.skills import Interrupted, Look, Outcome, Request
from deft_core.descriptions import CameraConfig, TaskConfig
from deft_core.errors import DeftError
from deft_core.ros import conversions as conv
from deft_core.ros import names, qos
from deft_core.ros.images import AnyImage, colour_topic
from deft_core.ros.node import CallTimeout, call, wait, wait_for_server
from deft_core.types import GraspParameters

SERVICE_SECONDS = 30.0
ACTION_SECONDS = 300.0     # a whole grasp, in wall time
BUSY_SECONDS = 60.0        # waited while the motion node finishes something else
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
                 requests: Publisher, pictures: Path, cancelled: Callable[[], bool]) -> None:
        self._task, self._object_set, self._requests = task, object_set, requests
        self._pictures, self._cancelled = pictures, cancelled
        self._observe = node.create_client(Observe, names.OBSERVE, callback_group=group)
        self._predict = node.create_client(PredictAffordance, names.PREDICT_AFFORDANCE, callback_group=group)
        self._retarget = node.create_client(RetargetHand, names.RETARGET_HAND, callback_group=group)
        self._check = node.create_client(CheckGrasp, names.CHECK_GRASP, callback_group=group)
        self._execute = ActionClient(node, ExecuteGrasp, names.EXECUTE_GRASP, callback_group=group)
        self._park = ActionClient(node, Park, names.PARK, callback_group=group)
        self._image: AnyImage | None = None
        self._lately: deque[tuple[float, AnyImage]] = deque(maxlen=PICTURES)  # with their stamps, s
        self._image_arrived = threading.Event()
        self._subscription = node.create_subscription(*colour_topic(camera), self._keep_image, qos.SENSOR,
                                                      callback_group=MutuallyExclusiveCallbackGroup())
        self._node = node
        self.observation, self.affordance = ObjectObservation(), Affordance()
        self.image_end, self.image_after = CompressedImage(), CompressedImage()

    def close(self) -> None:
        """Give the clients back to the node."""
        self._node.destroy_subscription(self._subscription)
        for client in (self._observe, self._predict, self._retarget, self._check):
            self._node.destroy_client(client)
        for action in (self._execute, self._park):
            action.destroy()

    def _keep_image(self, message: AnyImage) -> None:
        self._image = message
        stamp = conv.stamp_seconds(message.header.stamp)
        if self._lately and stamp < self._lately[-1][0]:  # the clock was set back
            self._lately.clear()
        if not self._lately or stamp - self._lately[-1][0] >= PICTURE_SECONDS:
            self._lately.append((stamp, message))
        self._image_arrived.set()

    def _image_between(self, start: float, end: float) -> AnyImage | None:
        """The newest kept picture from `start` to `end`, s, robot clock; None without one."""
        return next((image for stamp, image in reversed(self._lately) if start <= stamp <= end), None)

    def _call(self, client: Any, request: Any) -> Any:
        """Call a service; its error code becomes a DeftError."""
        try:
            response = call(client, request, SERVICE_SECONDS, self._cancelled)
        except CallTimeout as error:
            if self._cancelled():
                raise Interrupted from None
            raise DeftError(codes.PIPELINE_FAILED, str(error)) from None
        if response.error_code:
            raise DeftError(response.error_code, response.error_msg)
        return response

    def observe(self, task: str) -> Look:
        """See Skills."""
        self.observation, self.affordance = ObjectObservation(), Affordance()
        self.image_end, self.image_after = CompressedImage(), CompressedImage()
        self.observation = self._call(self._observe, Observe.Request(task=task)).observation
        seen = self.observation
        return Look(seen, {"stamp": conv.stamp_nanoseconds(seen.header.stamp), "quality_flags": seen.quality_flags,
                           "roi": [seen.roi.x_offset, seen.roi.y_offset, seen.roi.width, seen.roi.height],
                           "box_centre": conv.xyz(seen.box_centre).tolist(), "extent": conv.xyz(seen.extent).tolist(),
                           "table_height": seen.table_height, "depth_valid_fraction": float(seen.depth_valid_fraction),
                           "mask_score": float(seen.mask_score), "warnings": list(seen.warnings)})

    def predict(self, look: Look, task: str, seed: int) -> GraspParameters:
        """See Skills."""
        request = PredictAffordance.Request(observation=look.handle, text=self._task.text,
                                            wrist=self._task.heuristic_wrist, seed=seed)
        self.affordance = self._call(self._predict, request).affordance
        return conv.grasp_from_msg(self._call(self._retarget, RetargetHand.Request(affordance=self.affordance)).grasp)

    def _grasp_fields(self, grasp: GraspParameters, look: Look, task: str) -> dict[str, Any]:
        seen: ObjectObservation = look.handle
        return {"grasp": conv.grasp_to_msg(grasp), "task": task, "table_height": seen.table_height,
                "object_centre": seen.box_centre, "object_extent": seen.extent, "surroundings": seen.surroundings}

    def check(self, grasp: GraspParameters, look: Look, task: str) -> None:
        """See Skills."""
        self._call(self._check, CheckGrasp.Request(**self._grasp_fields(grasp, look, task)))

    def execute(self, grasp: GraspParameters, look: Look, task: str, seed: int, on_phase: Callable[[str], None]) -> Outcome:
        """See Skills."""
        goal = ExecuteGrasp.Goal(seed=seed, **self._grasp_fields(grasp, look, task))
        result = self._run(self._execute, goal, lambda f: on_phase(f.feedback.phase))
        phases = conv.phases_from_msg(result.phases)
        held = [(start, end) for name, start, end in phases if name in BEFORE_LETTING_GO]
        self.image_end = self._jpeg(self._image_between(held[0][0], held[-1][1]) if held else None)
        return Outcome(conv.grasp_from_msg(result.executed), result.clearance_lift, result.stop_reason,
                       conv.phases_from_msg(result.phases))

    def park(self, seed: int) -> None:
        """See Skills."""
        self._run(self._park, Park.Goal(seed=seed), lambda _: None)

    def _run(self, client: ActionClient, goal: Any, feedback: Callable[[Any], None]) -> Any:
        """Run an action to its end. When the session is cancelled, so is the action; its end is waited for."""
        try:
            wait_for_server(client, SERVICE_SECONDS, self._cancelled)
            handle = self._accepted(client, goal, feedback)
            finished = handle.get_result_async()
            cancelling = False
            started = time.monotonic()
            while not finished.done():
                if self._cancelled() and not cancelling:
                    handle.cancel_goal_async()
                    cancelling = True
                if time.monotonic() - started > ACTION_SECONDS:
                    handle.cancel_goal_async()
                    raise CallTimeout(f"action {client._action_name} did not end within {ACTION_SECONDS:.0f} s")
                time.sleep(0.01)
        except CallTimeout as error:
            if self._cancelled():
                raise Interrupted from None
            raise DeftError(codes.PIPELINE_FAILED, str(error)) from None
        if cancelling:
            raise Interrupted
        result = finished.result().result
        if result.error_code:
            raise DeftError(result.error_code, result.error_msg)
        return result

    def _accepted(self, client: ActionClient, goal: Any, feedback: Callable[[Any], None]) -> Any:
        """The handle of a goal, once it is taken: a motion that this server began before it died is waited for."""
        started = time.monotonic()
        while True:
            sent = client.send_goal_async(goal, feedback_callback=feedback)
            wait(sent, SERVICE_SECONDS, lambda: False, f"action {client._action_name}")
            handle = sent.result()
            if handle.accepted:
                return handle
            if self._cancelled():
                raise Interrupted
            if time.monotonic() - started > BUSY_SECONDS:
                raise DeftError(codes.PIPELINE_FAILED, "the motion node has been busy with another motion for "
                                f"{BUSY_SECONDS:.0f} s")
            time.sleep(0.2)

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
