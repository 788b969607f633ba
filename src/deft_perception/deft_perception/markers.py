"""An observation as markers in the base frame: the object's box and the table under it."""

from __future__ import annotations

import numpy as np
from deft_msgs.msg import ObjectObservation
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from deft_core.ros import conversions as conv
from deft_core.ros import markers

GOOD, POOR, TABLE = (0.2, 0.9, 0.3, 0.35), (1.0, 0.5, 0.1, 0.45), (0.5, 0.5, 0.5, 0.25)
TABLE_SIDE, TABLE_DEPTH = 0.6, 0.004  # m, of the shown piece


def observation_markers(seen: ObjectObservation) -> MarkerArray:
    """Namespaces: object (orange where the look has warnings), table, caption."""
    header = Header(stamp=seen.header.stamp, frame_id=seen.base_frame)
    centre, extent = conv.xyz(seen.box_centre), conv.xyz(seen.extent)
    table = np.array([centre[0], centre[1], seen.table_height - TABLE_DEPTH / 2])
    words = "; ".join([f"{seen.task}: depth on {seen.depth_valid_fraction:.0%}, mask {seen.mask_score:.2f}", *seen.warnings])
    return markers.fresh(header, [
        markers.box(header, "object", centre, extent, POOR if seen.quality_flags else GOOD),
        markers.box(header, "table", table, np.array([TABLE_SIDE, TABLE_SIDE, TABLE_DEPTH]), TABLE),
        markers.caption(header, "caption", centre + np.array([0.0, 0.0, extent[2] / 2 + 0.05]), words, (1.0, 1.0, 1.0, 1.0))])
