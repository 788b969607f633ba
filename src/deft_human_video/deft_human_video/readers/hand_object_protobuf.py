"""EPIC-KITCHENS-100's hand-object detections: a pickled list of protobufs, one a frame, boxes as shares of the picture.

Published at https://github.com/epic-kitchens/epic-kitchens-100-hand-object-bboxes; the message is described here by its field
numbers, because the project's generated code needs an old protobuf.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from deft_human_video.clip import NO_CONTACT, STATIONARY, Box, Detections, HandBox, ObjectBox
from deft_human_video.errors import ClipError
from deft_human_video.readers.reader import unpickled

PACKAGE = "model.detections"
FLOAT, STRING, INT32, ENUM, MESSAGE = (getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{t}")
                                       for t in ("FLOAT", "STRING", "INT32", "ENUM", "MESSAGE"))
SIDES = ("left", "right")
# message: field, number, type, name of a message or enum, repeated
FIELDS: dict[str, tuple[tuple[str, int, int, str, bool], ...]] = {
    "FloatVector": (("x", 1, FLOAT, "", False), ("y", 2, FLOAT, "", False)),
    "BBox": tuple((name, i + 1, FLOAT, "", False) for i, name in enumerate(("left", "top", "right", "bottom"))),
    "HandDetection": (("bbox", 1, MESSAGE, "BBox", False), ("score", 2, FLOAT, "", False), ("state", 3, INT32, "", False),
                      ("object_offset", 4, MESSAGE, "FloatVector", False), ("side", 5, INT32, "", False)),
    "ObjectDetection": (("bbox", 1, MESSAGE, "BBox", False), ("score", 2, FLOAT, "", False)),
    "Detections": (("video_id", 1, STRING, "", False), ("frame_number", 2, INT32, "", False),
                   ("hands", 3, MESSAGE, "HandDetection", True), ("objects", 4, MESSAGE, "ObjectDetection", True)),
}


@lru_cache(maxsize=1)
def message_type() -> Any:
    """The class of message Detections. Enums are read as the integers that they are on the wire."""
    file = descriptor_pb2.FileDescriptorProto(name="hand_object_detections.proto", package=PACKAGE, syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind, refers, repeated in fields:
            message.field.add(name=field, number=number, type=kind, label=3 if repeated else 1,
                              type_name=f".{PACKAGE}.{refers}" if refers else None)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Detections"))


def read_detections(path: Path) -> list[bytes]:
    """The serialized messages of a video, one a frame. Raises ClipError."""
    data = unpickled(path)
    if not isinstance(data, list) or not all(isinstance(item, bytes) for item in data):
        raise ClipError(path, "it holds no list of serialized detections")
    if not data:
        raise ClipError(path, "its list of detections is empty")
    return data


def parsed(message: bytes, number: int, width: int, height: int, path: Path) -> Detections:
    """One frame's detections in pixels.

    Args:
        number: of the frame's image, from 1; the message must carry it.

    Raises:
        ClipError: not such a message, of another frame, or with numbers that cannot be.
    """
    found = message_type()()
    try:
        found.ParseFromString(message)
    except DecodeError as error:
        raise ClipError(path, f"the detections of frame {number} are damaged: {error}") from None
    if found.frame_number != number:
        raise ClipError(path, f"the detections at place {number} are of frame {found.frame_number}")
    hands = []
    for hand in found.hands:
        box = _pixels(hand.bbox, width, height, path, number)
        if not (NO_CONTACT <= hand.state <= STATIONARY and hand.side in (0, 1)):
            raise ClipError(path, f"frame {number} has a hand of state {hand.state} and side {hand.side}, which do not exist")
        centre = ((box[0] + box[2]) / 2 + hand.object_offset.x * width, (box[1] + box[3]) / 2 + hand.object_offset.y * height)
        if not np.isfinite([*centre, hand.score]).all():
            raise ClipError(path, f"frame {number} has a hand with a score or an offset that is not finite")
        hands.append(HandBox(box, hand.score, "right" if hand.side else "left", hand.state,
                             centre if hand.state != NO_CONTACT else None))
    return Detections(tuple(hands), tuple(ObjectBox(_pixels(o.bbox, width, height, path, number),
                                                    o.score) for o in found.objects))


def _pixels(box: Any, width: int, height: int, path: Path, number: int) -> Box:
    corners = np.array([box.left, box.top, box.right, box.bottom])
    if not np.isfinite(corners).all() or (corners < -0.01).any() or (corners > 1.01).any() or (corners[:2] > corners[2:]).any():
        raise ClipError(path,
                        f"frame {number} has a box {corners.round(3).tolist()}; left, top, right, bottom must lie in 0..1")
    left, top, right, bottom = corners * [width, height, width, height]
    return float(left), float(top), float(right), float(bottom)
