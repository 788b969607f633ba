"""Named QoS profiles. No node writes a depth by hand."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _profile(depth: int, reliability: ReliabilityPolicy, durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability)


# Publishing images: what realsense2_camera offers, so that every subscriber matches.
IMAGE_PUBLISHER = _profile(5, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
# Receiving images and joint states: best effort matches any publisher.
SENSOR = _profile(5, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
# Of sensor data that is looked at now and then: only the newest matters.
NEWEST = _profile(1, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)


def images(reliability: str, depth: int = 5) -> QoSProfile:
    """Receiving pictures of a camera whose YAML says reliable or best_effort."""
    kind = ReliabilityPolicy.RELIABLE if reliability == "reliable" else ReliabilityPolicy.BEST_EFFORT
    return _profile(depth, kind, DurabilityPolicy.VOLATILE)


JOINT_STATE_PUBLISHER = _profile(10, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
COMMAND = _profile(10, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
HEARTBEAT = _profile(20, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
CLOCK = _profile(1, ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
# Requests and status that a late joiner must see.
LATCHED = _profile(1, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)
EPISODES = _profile(100, ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)
