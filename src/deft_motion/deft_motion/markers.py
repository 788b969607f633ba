"""A planned grasp as markers: a ghost of the hand, its way, and where it touches."""

from __future__ import annotations

from rclpy.time import Time
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from deft_core.ros import markers
from deft_motion.preview import GraspPreview

BONE = 0.009  # m, width of a finger's line
OPEN, CLOSED, WAY, CONTACT = (0.4, 0.7, 1.0, 0.35), (0.25, 0.6, 1.0, 0.9), (0.6, 0.6, 0.6, 0.8), (1.0, 0.85, 0.0, 1.0)


def preview_markers(seen: GraspPreview, base_frame: str, now: Time) -> MarkerArray:
    """Namespaces: open_hand, closed_hand, way, contact."""
    header = Header(stamp=now.to_msg(), frame_id=base_frame)
    return markers.fresh(header, [markers.lines(header, "open_hand", seen.open_hand, OPEN, BONE),
                                  markers.lines(header, "closed_hand", seen.closed_hand, CLOSED, BONE),
                                  markers.strip(header, "way", seen.way, WAY, 0.004),
                                  markers.balls(header, "contact", seen.contact[None], CONTACT, 0.018)])
