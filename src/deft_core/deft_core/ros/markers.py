"""Markers for RViz and Foxglove: points in m in the frame that the header names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from deft_core.types import Array

Colour = tuple[float, float, float, float]  # red green blue alpha, 0..1


def points_of(points: Iterable[Sequence[float]]) -> list[Point]:
    """(n, 3) as messages."""
    return [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in points]


def lines(header: Header, namespace: str, segments: Array, colour: Colour, width: float) -> Marker:
    """(k, 2, 3) segments, each from the first to the second point; `width` m."""
    return _marker(header, namespace, Marker.LINE_LIST, segments.reshape(-1, 3), colour, (width, 0.0, 0.0))


def strip(header: Header, namespace: str, points: Array, colour: Colour, width: float) -> Marker:
    """(n, 3) points joined one after the other; `width` m."""
    return _marker(header, namespace, Marker.LINE_STRIP, points, colour, (width, 0.0, 0.0))


def balls(header: Header, namespace: str, points: Array, colour: Colour, diameter: float) -> Marker:
    """(n, 3) points as balls of a `diameter`, m."""
    return _marker(header, namespace, Marker.SPHERE_LIST, points, colour, (diameter,) * 3)


def arrow(header: Header, namespace: str, start: Array, end: Array, colour: Colour, width: float) -> Marker:
    """From one point (3,) to another; the shaft is `width` m wide."""
    return _marker(header, namespace, Marker.ARROW, [start, end], colour, (width, 2 * width, 0.0))


def box(header: Header, namespace: str, centre: Array, extent: Array, colour: Colour) -> Marker:
    """A box along the frame's axes: its centre (3,) and its size (3,)."""
    marker = _marker(header, namespace, Marker.CUBE, [], colour, tuple(float(max(e, 1e-3)) for e in extent))
    marker.pose.position = points_of([centre])[0]
    return marker


def caption(header: Header, namespace: str, at: Array, text: str, colour: Colour, height: float = 0.025) -> Marker:
    """Words at a point (3,), `height` m tall."""
    marker = _marker(header, namespace, Marker.TEXT_VIEW_FACING, [], colour, (0.0, 0.0, height))
    marker.pose.position, marker.text = points_of([at])[0], text
    return marker


def fresh(header: Header, markers: Iterable[Marker]) -> MarkerArray:
    """The markers in place of those that were shown on the topic before."""
    return MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL), *markers])


def _marker(header: Header, namespace: str, kind: int, points: Iterable[Sequence[float]], colour: Colour,
            scale: tuple[float, ...]) -> Marker:
    marker = Marker(header=header, ns=namespace, type=kind, action=Marker.ADD, points=points_of(points),
                    color=ColorRGBA(**dict(zip("rgba", colour, strict=True))))
    marker.scale.x, marker.scale.y, marker.scale.z = scale
    marker.pose.orientation.w = 1.0
    return marker
