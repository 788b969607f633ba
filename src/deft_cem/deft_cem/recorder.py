"""A session's bag while it is written: what the server tells, what the camera sees, how the robot stands."""

from __future__ import annotations

import math
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
from deft_msgs.msg import Episode, SessionStatus
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, JointState

from deft_bag.definitions import COMPRESSED_IMAGE, EPISODE, JOINT_STATE, REWARD_REQUEST, STATUS, STRING
from deft_bag.writer import BagWriter, Topic
from deft_cem.episode_records import success_value
from deft_cem.recording import Pace, RecordConfig
from deft_cem.session import EpisodeState, Session
from deft_core.descriptions import RobotConfig
from deft_core.ros import conversions as conv
from deft_core.ros import names, qos
from deft_core.ros.images import AnyImage
from deft_core.ros.leaving import destroy

RECORDER = "deft_recorder"
POLL_SECONDS = 0.01  # of wall time between looks for a new joint state
STAMP = struct.Struct("<iI")  # s and ns of a header, behind the four bytes that begin every serialized message
HEADER = 4


class Recorder:
    """Writes a bag. What cannot be written is said once and ends nothing: the journal is the record.

    Args:
        folder: of the bag, inside the session's.
    """

    def __init__(self, node: Node, folder: Path, robot: RobotConfig, config: RecordConfig) -> None:
        self._node, self._broken = node, not config.bag
        self._camera, self._joints = Pace(config.camera_rate), Pace(config.joint_state_rate)
        resolve = node.resolve_topic_name
        self.episode = Topic(resolve(names.EPISODE), EPISODE, latched=True)
        self.status = Topic(resolve(names.SESSION_STATUS), STATUS, latched=True)
        self.request = Topic(resolve(names.REWARD_REQUEST), REWARD_REQUEST, latched=True)
        self.configuration = Topic(resolve(names.SESSION_CONFIG), STRING, latched=True)
        self._picture = Topic(resolve(f"{robot.camera.namespace}/color/image_raw/compressed"), COMPRESSED_IMAGE)
        self._joint_state = Topic(resolve(robot.joint_states_topic), JOINT_STATE)
        self._writer: BagWriter | None = None
        self._held = threading.Event()
        self._listener: _JointListener | None = None
        if self._broken:
            return
        try:
            self._writer = BagWriter(folder)
        except Exception as error:  # of the disk, or of a file that is no bag's
            self._fail(error)
            return
        for mended in self._writer.mended:
            node.get_logger().info(f"bag of the session mended: {mended}")
        if config.joint_state_rate:
            self._listener = _JointListener(node, self._joint_state.name, self._keep_joints)

    def keep(self, topic: Topic, message: Any, flush: bool = False) -> None:
        """Add a message; with `flush` it survives this process."""
        if not self._broken:
            self._write(topic, serialize_message(message), flush)

    def keep_image(self, message: AnyImage) -> None:
        """Add a picture of the camera as JPEG, when one is due."""
        if self._broken or not self._camera.due(conv.stamp_seconds(message.header.stamp)):
            return
        try:
            jpeg = message if isinstance(message, CompressedImage) else conv.jpeg_msg(conv.image_from_msg(message, "rgb8"),
                                                                                      message.header)
        except ValueError:  # perception says what is wrong with it
            return
        self.keep(self._picture, jpeg)

    def _keep_joints(self, data: bytes) -> None:
        seconds, nanoseconds = STAMP.unpack_from(data, HEADER)
        if not self._broken and self._joints.due(seconds + 1e-9 * nanoseconds):
            self._write(self._joint_state, data, flush=False)

    def _write(self, topic: Topic, data: bytes, flush: bool) -> None:
        if self._writer is None or (self._held.is_set() and not flush):
            return
        try:
            self._writer.write(topic, data, time.time_ns(), flush)
        except Exception as error:  # of the disk, or of the MCAP library: neither may end the session
            self._fail(error)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Inside, the bag is whole: the stream of states and pictures waits, and begins another file afterwards."""
        self._held.set()
        try:
            self._complete()
            yield
        finally:
            self._held.clear()

    def _complete(self) -> None:
        if self._writer is None or self._broken:
            return
        try:
            self._writer.complete()
        except Exception as error:  # see _write
            self._fail(error)

    def close(self) -> None:
        """End the bag."""
        if self._listener is not None:
            self._listener.close()
        self._complete()
        if self._writer is not None:
            self._writer.close()

    def _fail(self, error: Exception) -> None:
        already, self._broken = self._broken, True
        if self._writer is not None:
            self._writer.abandon()
        if already:
            return
        self._node.get_logger().error(f"the bag of the session cannot be written ({error}); the session goes on without it, "
                                      "and its policy is fitted from what was recorded before")


class _JointListener:
    """Takes the newest joint state now and then, with a node of its own that no executor waits for.

    Joint states come up to a thousand times a second. Waking the server's executor for each of them, to keep one in fifty,
    took more than a core.
    """

    def __init__(self, node: Node, topic: str, keep: Callable[[bytes], None]) -> None:
        self._node = rclpy.create_node(RECORDER, context=node.context, namespace=node.get_namespace(), enable_rosout=False,
                                       use_global_arguments=False, start_parameter_services=False)
        self._subscription = self._node.create_subscription(JointState, topic, lambda _: None, qos.NEWEST)
        self._keep, self._stopping = keep, threading.Event()
        self._thread = threading.Thread(target=self._listen, name=RECORDER, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        subscription = self._subscription.handle
        while not self._stopping.wait(POLL_SECONDS):
            with subscription:
                taken = subscription.take_message(JointState, True)
            if taken is not None:
                self._keep(taken[0])

    def close(self) -> None:
        """Stop listening."""
        self._stopping.set()
        self._thread.join(timeout=2)
        destroy(self._node)


def add_amendment(session: Session, state: EpisodeState) -> None:
    """Add an answer that was changed later to the bag of a session that is open but does not run, where it has one."""
    folder = session.folder / "bag"
    if not folder.is_dir():
        return
    rewards, finished = session.rewards(), session.finished()
    writer = BagWriter(folder)
    for topic, message in (
            (Topic(f"/{names.EPISODE}", EPISODE, latched=True), Episode(
                session=session.id, task=session.spec.task, episode=state.episode, attempt=state.attempt, status=state.status,
                revision=len(state.history), reward=rewards.get(state.episode, math.nan), reward_source=state.source,
                suggested_reward=math.nan, repeat_of=-1 if state.repeat_of is None else state.repeat_of, control=state.control,
                success=success_value(state.success), note=state.note)),
            (Topic(f"/{names.SESSION_STATUS}", STATUS, latched=True), SessionStatus(
                session=session.id, task=session.spec.task, state="idle", finished_episodes=[s.episode for s in finished],
                statuses=[s.status for s in finished], rewards=[rewards.get(s.episode, math.nan) for s in finished],
                best_reward=session.best_reward(), seconds_left=math.nan))):
        writer.write(topic, serialize_message(message), time.time_ns())
    writer.complete()
