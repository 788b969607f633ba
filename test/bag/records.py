"""Records of a session as the server makes them, without a server: for bags in tests."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from deft_msgs.msg import Episode, GraspParameters, PhaseTime, Residual, SessionStatus
from geometry_msgs.msg import Point, Vector3
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String

from deft_bag.definitions import COMPRESSED_IMAGE, EPISODE, JOINT_STATE, STATUS, STRING
from deft_bag.writer import BagWriter, Topic
from deft_core.ros import conversions as conv

JOINTS = tuple(f"j{i}" for i in range(16))
NAMES = ("contact_x", "contact_y", "contact_z", "wrist_rx", "wrist_ry", "wrist_rz", *JOINTS)
SIGMA, BOUND = np.repeat([0.025, 0.22, 0.125], (3, 3, 16)), np.repeat([0.08, 0.8, 0.5], (3, 3, 16))
EPISODE_TOPIC = Topic("/deft/episode", EPISODE, latched=True)
STATUS_TOPIC = Topic("/deft/session_status", STATUS, latched=True)
CONFIG_TOPIC = Topic("/deft/session_config", STRING, latched=True)
JOINT_TOPIC = Topic("/joint_states", JOINT_STATE)
PICTURE_TOPIC = Topic("/camera/camera/color/image_raw/compressed", COMPRESSED_IMAGE)
STARTS = 10.0  # s of robot clock between episodes


def grasp(rng: np.random.Generator) -> GraspParameters:
    return GraspParameters(header=Header(frame_id="base_link"), hand="hand", joint_names=list(JOINTS),
                           contact=Point(**dict(zip("xyz", (0.5 + 0.05 * rng.standard_normal(3)).tolist(), strict=True))),
                           wrist_rotation=Vector3(**dict(zip("xyz", (0.3 * rng.standard_normal(3)).tolist(), strict=True))),
                           joint_positions=rng.uniform(0.0, 1.0, 16).tolist())


def crop(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (12, 9, 3), dtype=np.uint8)


def record(k: int, reward: float = math.nan, status: str = "scored", seen: bool = False, session: str = "s",
           seed: int = 0, **fields: Any) -> Episode:
    """The record of episode `k`; what is in it follows from `seed` and `k`."""
    rng = np.random.default_rng([seed, k])
    start = 1.0 + STARTS * k
    message = Episode(session=session, task="pick_cup", object_set="train", episode=k, hand="hand", robot="robot",
                      status=status, reward=reward, reward_source="operator", suggested_reward=math.nan, repeat_of=-1,
                      xi=grasp(rng),
                      eps=Residual(names=list(NAMES), sigma=SIGMA.tolist(), bound=BOUND.tolist(),
                                   values=(SIGMA * rng.standard_normal(22)).clip(-BOUND, BOUND).tolist()),
                      phases=[PhaseTime(phase="move", start=conv.stamp_msg(round(start * 1e9)),
                                        end=conv.stamp_msg(round((start + 3.0) * 1e9)))],
                      timing_names=["executing"], timing_seconds=[2.5])
    picture = crop(rng)
    if seen:
        message.observation.rgb_crop = conv.image_to_msg(picture, "rgb8", Header())
        message.observation.aligned_depth.data = rng.integers(0, 255, 4000, dtype=np.uint8).tobytes()
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def status(rewards: dict[int, float], session: str = "s") -> SessionStatus:
    return SessionStatus(session=session, state="done", finished_episodes=list(rewards), rewards=list(rewards.values()),
                         statuses=["scored"] * len(rewards), best_reward=math.nan, seconds_left=math.nan)


class Written:
    """A bag that is being written, one message a millisecond."""

    def __init__(self, folder: Path) -> None:
        self.writer, self.time = BagWriter(folder), 1_700_000_000 * 10**9

    def add(self, topic: Topic, message: Any, flush: bool = False) -> None:
        self.time += 10**6
        self.writer.write(topic, serialize_message(message), self.time, flush)

    def episode(self, k: int, reward: float, moved: bool = False, **fields: Any) -> None:
        """Both records of an episode, as the server writes them, and how the robot moved."""
        if moved:
            for t in np.arange(0.0, 3.0, 0.05):
                stamp = conv.stamp_msg(round((1.0 + STARTS * k + t) * 1e9))
                self.add(JOINT_TOPIC, JointState(header=Header(stamp=stamp), name=["a", "b"], position=[float(t), float(k)]))
                if round(t / 0.05) % 20 == 0:
                    picture = np.full((48, 64, 3), min(255, 40 * k + int(20 * t)), np.uint8)
                    self.add(PICTURE_TOPIC, conv.jpeg_msg(picture, Header(stamp=stamp)))
        self.add(EPISODE_TOPIC, record(k, status="executed", seen=True, **fields), flush=True)
        self.add(EPISODE_TOPIC, record(k, reward, **fields), flush=True)


def bag(folder: Path, rewards: list[float], moved: bool = False, complete: bool = True, **fields: Any) -> Path:
    """A bag of a session with these rewards."""
    written = Written(folder)
    written.add(CONFIG_TOPIC, String(data="task: {name: pick_cup, phrasings: [pick up the cup]}"))
    for k, reward in enumerate(rewards):
        written.episode(k, reward, moved, **fields)
    written.add(STATUS_TOPIC, status(dict(enumerate(rewards))))
    if complete:
        written.writer.complete()
    else:
        written.writer.abandon()
    return folder


