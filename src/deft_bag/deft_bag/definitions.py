"""What messages consist of: ROS 2 Jazzy's own and those of deft_msgs, for bags."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

EPISODE = "deft_msgs/msg/Episode"
STATUS = "deft_msgs/msg/SessionStatus"
REWARD_REQUEST = "deft_msgs/msg/RewardRequest"
STRING = "std_msgs/msg/String"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
JOINT_STATE = "sensor_msgs/msg/JointState"
OWN = "deft_msgs/"


@lru_cache(maxsize=1)
def installed() -> Typestore:
    """Jazzy's messages and the deft_msgs that are installed here."""
    from ament_index_python.packages import get_package_share_directory

    store = get_typestore(Stores.ROS2_JAZZY)
    types = {}
    for file in sorted((Path(get_package_share_directory("deft_msgs")) / "msg").glob("*.msg")):
        types.update(get_types_from_msg(file.read_text(), f"deft_msgs/msg/{file.stem}"))
    store.register(types)
    return store


@lru_cache(maxsize=64)
def definition(message_type: str) -> tuple[str, str]:
    """A type's full definition, as bags carry it, and its hash (REP 2016). Raises KeyError: the type is not known here."""
    store = installed()
    if message_type not in store.fielddefs:
        raise KeyError(message_type)
    text, _ = store.generate_msgdef(message_type, ros_version=2)
    return text, store.hash_rihs01(message_type)
