"""A prior as markers in the base frame: where it would touch, and how a human hand would be held."""

from __future__ import annotations

import numpy as np
from deft_msgs.msg import Affordance
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from deft_affordance.overlay import AXES, AXIS
from deft_core.ros import conversions as conv
from deft_core.ros import markers

CAPTION = np.array([0.0, 0.0, 0.1])  # m, above the contact
YELLOW, WHITE = (1.0, 0.9, 0.0, 1.0), (1.0, 1.0, 1.0, 1.0)


def affordance_markers(found: Affordance) -> MarkerArray:
    """Namespaces: contacts, mean_contact, wrist (axes as in the overlay: fingers red, back green, thumb blue), caption."""
    header = Header(stamp=found.header.stamp, frame_id=found.base_frame)
    mean, wrist = conv.xyz(found.mean_contact), conv.rotation_from_msg(found.wrist_orientation_base)
    contacts = np.array([conv.xyz(p) for p in found.contact_points]).reshape(-1, 3)
    drawn = [markers.balls(header, "contacts", contacts, YELLOW, 0.012),
             markers.balls(header, "mean_contact", mean[None], WHITE, 0.016)]
    for k, (axis, (r, g, b)) in enumerate(AXES):
        drawn.append(markers.arrow(header, f"wrist_{'xyz'[k]}", mean, mean + AXIS * wrist.apply(axis),
                                   (r / 255, g / 255, b / 255, 1.0), 0.005))
    words = f"{found.prior} prior, confidence {found.confidence:.2f}"
    drawn.append(markers.caption(header, "caption", mean + CAPTION, words, WHITE))
    return markers.fresh(header, drawn)
