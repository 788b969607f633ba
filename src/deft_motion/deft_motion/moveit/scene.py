"""The planning scene as messages: table, object and surroundings, and the object in the hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion
from moveit_msgs.msg import AttachedCollisionObject, CollisionObject, PlanningScene
from scipy.spatial.transform import Rotation
from shape_msgs.msg import SolidPrimitive

from deft_core import types
from deft_core.types import SURROUNDINGS_CELL, Array
from deft_motion.kinematics import OBJECT_MARGIN, Obstacles

TABLE, OBJECT, SURROUNDINGS = "deft_table", "deft_object", "deft_surroundings"
TABLE_REACH, TABLE_DEPTH = 1.2, 0.1  # m from the base to each side, and down from its top
BASE_HALF = 0.15   # m, half of the square round the base that is left out of the table: the robot stands there
TABLE_GAP = 0.002  # m below the model's table, whose height is a measurement
HELD_GAP = 0.01    # m that a held object is lifted off the table, on which it stands when the hand closes


def pose_msg(pose: types.Pose) -> Pose:
    """A pose as geometry_msgs has it (m, quaternion x y z w)."""
    x, y, z = map(float, pose.position)
    qx, qy, qz, qw = map(float, pose.rotation.as_quat())
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


@dataclass(frozen=True)
class Change:
    """A difference to MoveIt's scene.

    Attributes:
        required: MoveIt has to accept it. Taking away what is not there is refused, and means nothing.
    """

    scene: PlanningScene
    required: bool


def world(obstacles: Obstacles, frame: str, with_things: bool) -> list[Change]:
    """Differences, in order, that leave exactly what is to be kept clear of.

    Args:
        frame: the base frame.
        with_things: with the object and its surroundings; without them only the table, for a hand that means to touch.
    """
    there = [_boxes(TABLE, frame, *_table(obstacles.table))]
    if with_things and obstacles.centre is not None and obstacles.extent is not None:
        there.append(_boxes(OBJECT, frame, obstacles.centre[None], obstacles.extent[None]))
    if with_things and len(obstacles.surroundings):
        there.append(_boxes(SURROUNDINGS, frame, *_columns(obstacles)))
    added, taken = _difference(), _difference()
    added.world.collision_objects = there
    taken.world.collision_objects = [_removed(name, frame) for name in (OBJECT, SURROUNDINGS)
                                     if name not in [item.id for item in there]]
    return [Change(added, True), *([Change(taken, False)] if taken.world.collision_objects else [])]


def attached(obstacles: Obstacles, link: str, link_pose: types.Pose, touch_links: tuple[str, ...]) -> list[Change]:
    """The object in the hand, where it was in the link's frame when the hand closed; nothing where its box is not known."""
    if obstacles.centre is None or obstacles.extent is None:
        return []
    half = np.maximum(obstacles.extent / 2 - OBJECT_MARGIN, 1e-3)
    low, high = obstacles.centre - half, obstacles.centre + half
    low[2] = min(max(low[2], obstacles.table + HELD_GAP), high[2] - 1e-3)
    in_link = link_pose.inverse() @ types.Pose((low + high) / 2, Rotation.identity())
    held = _boxes(OBJECT, link, np.zeros((1, 3)), (high - low)[None])
    held.pose = pose_msg(in_link)
    scene = _difference()
    scene.robot_state.attached_collision_objects = [
        AttachedCollisionObject(link_name=link, object=held, touch_links=[link, *touch_links])]
    return [Change(scene, True)]


def detached(link: str, frame: str) -> list[Change]:
    """Differences, in order: out of the hand, which puts it into the world, and out of the world."""
    out_of_hand, out_of_world = _difference(), _difference()
    out_of_hand.robot_state.attached_collision_objects = [
        AttachedCollisionObject(link_name=link, object=_removed(OBJECT, link))]
    out_of_world.world.collision_objects = [_removed(OBJECT, frame)]
    return [Change(out_of_hand, False), Change(out_of_world, False)]


def _difference() -> PlanningScene:
    """A scene that is added to MoveIt's. Without is_diff it would take its place, attached bodies included."""
    scene = PlanningScene(is_diff=True)
    scene.robot_state.is_diff = True
    return scene


def _boxes(name: str, frame: str, centres: Array, sizes: Array) -> CollisionObject:
    """Boxes at centres (n, 3) with edges (n, 3), m, as one object."""
    item = CollisionObject(id=name, operation=CollisionObject.ADD)
    item.header.frame_id = frame
    item.pose.orientation.w = 1.0
    item.primitives = [SolidPrimitive(type=SolidPrimitive.BOX, dimensions=size.tolist()) for size in sizes]
    item.primitive_poses = [pose_msg(types.Pose(centre, Rotation.identity())) for centre in centres]
    return item


def _removed(name: str, frame: str) -> CollisionObject:
    item = CollisionObject(id=name, operation=CollisionObject.REMOVE)
    item.header.frame_id = frame
    return item


def _table(height: float) -> tuple[Array, Array]:
    """Centres and edges (4, 3) of the table's top around the robot's base."""
    z, wide, deep = height - TABLE_GAP - TABLE_DEPTH / 2, TABLE_REACH - BASE_HALF, TABLE_DEPTH
    off = BASE_HALF + wide / 2
    return (np.array([[off, 0, z], [-off, 0, z], [0, off, z], [0, -off, z]]),
            np.array([[wide, 2 * TABLE_REACH, deep]] * 2 + [[2 * BASE_HALF, wide, deep]] * 2))


def _columns(obstacles: Obstacles) -> tuple[Array, Array]:
    """Centres and edges (n, 3) of one column for each cell of the table, from its top to the highest point seen there."""
    cells = np.floor(obstacles.surroundings[:, :2] / SURROUNDINGS_CELL).astype(int)
    places, where = np.unique(cells, axis=0, return_inverse=True)
    tops = np.full(len(places), -np.inf)
    np.maximum.at(tops, where.reshape(-1), obstacles.surroundings[:, 2])
    heights = np.maximum(tops + SURROUNDINGS_CELL / 2 - obstacles.table, SURROUNDINGS_CELL)
    centres = np.column_stack([(places + 0.5) * SURROUNDINGS_CELL, obstacles.table + heights / 2])
    edges = np.column_stack([np.full((len(places), 2), SURROUNDINGS_CELL), heights])
    return centres, edges
