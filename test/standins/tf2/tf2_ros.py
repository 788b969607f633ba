"""A stand-in for tf2_ros: a buffer that is filled from /tf and /tf_static, and refuses times that it does not know."""

from collections import defaultdict

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from scipy.spatial.transform import Rotation
from tf2_msgs.msg import TFMessage


class TransformException(Exception):
    pass


class LookupException(TransformException):
    pass


class ConnectivityException(TransformException):
    pass


class ExtrapolationException(TransformException):
    pass


def _matrix(t):
    out = np.eye(4)
    out[:3, :3] = Rotation.from_quat([t.rotation.x, t.rotation.y, t.rotation.z, t.rotation.w]).as_matrix()
    out[:3, 3] = [t.translation.x, t.translation.y, t.translation.z]
    return out


class Buffer:
    def __init__(self, cache_time=None, node=None):
        self._known = defaultdict(list)  # child -> (nanoseconds, parent, matrix, static)

    def add(self, transform, static):
        stamp = transform.header.stamp
        row = (stamp.sec * 10**9 + stamp.nanosec, transform.header.frame_id, _matrix(transform.transform), static)
        self._known[transform.child_frame_id] = [row] if static else [*self._known[transform.child_frame_id][-99:], row]

    def _at(self, child, when):
        rows = self._known[child]
        if rows[-1][3] or when == 0:
            return rows[-1]
        if not rows[0][0] <= when <= rows[-1][0]:
            raise ExtrapolationException(f"Lookup would require extrapolation at time {when} of {child}")
        return min(rows, key=lambda row: abs(row[0] - when))

    def lookup_transform(self, target_frame, source_frame, time, timeout=None):
        """Up from the source to the target; the target is the root here."""
        if source_frame not in self._known:
            raise LookupException(f'"{source_frame}" passed to lookupTransform argument source_frame does not exist.')
        matrix, frame, latest = np.eye(4), source_frame, None
        while frame != target_frame:
            if frame not in self._known:
                raise ConnectivityException(f"Could not find a connection between '{target_frame}' and '{source_frame}'")
            stamp, parent, step, static = self._at(frame, time.nanoseconds)
            latest = stamp if latest is None or (not static and stamp < latest) else latest
            matrix, frame = step @ matrix, parent
        out = TransformStamped(child_frame_id=source_frame)
        out.header.frame_id = target_frame
        latest = time.nanoseconds or latest
        out.header.stamp.sec, out.header.stamp.nanosec = divmod(latest, 10**9)
        t, q = out.transform.translation, Rotation.from_matrix(matrix[:3, :3]).as_quat()
        t.x, t.y, t.z = map(float, matrix[:3, 3])
        r = out.transform.rotation
        r.x, r.y, r.z, r.w = map(float, q)
        return out


class TransformListener:
    def __init__(self, buffer, node, *, spin_thread=False, qos=None, static_qos=None):
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(TFMessage, "/tf", lambda m: [buffer.add(t, False) for t in m.transforms], 100)
        node.create_subscription(TFMessage, "/tf_static", lambda m: [buffer.add(t, True) for t in m.transforms], latched)
