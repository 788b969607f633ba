"""Arm and hand in Pinocchio and coal: forward and inverse kinematics, collisions, clearance.

The configuration is the arm's joints (n_arm,) followed by the hand's (n_hand,), rad. Poses are of the
grasp frame in the base frame, metres.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import coal
import numpy as np
import pinocchio as pin
from scipy.spatial.transform import Rotation

from deft_core.descriptions import HandConfig, RobotConfig, example_robot_data_root, resolve_model
from deft_core.errors import ConfigError
from deft_core.types import SURROUNDINGS_CELL, Array, Pose

POSITION_TOLERANCE = 2e-4  # m
ROTATION_TOLERANCE = 2e-3  # rad
DAMPING = 0.03
MAX_ITERATIONS = 80
NULL_SPACE_GAIN = 0.05
NOTHING = np.zeros((0, 3))  # no points
IK_LIMIT_MARGIN = 0.05  # rad, kept from the joint limits, for splines between solutions
CIRCLE_LIMIT = np.pi  # rad, joints that turn more than once are used within half a turn
CIRCLE_CORNERS = 24  # of the prism around a cylinder
OBJECT_MARGIN = 0.01  # m, the observed box is grown by this
REACH = 2.0  # m from the base in each direction, what is farther cannot be met


@dataclass(frozen=True)
class Obstacles:
    """What a plan keeps clear of (m, base frame).

    Attributes:
        table: height of its top.
        centre, extent: (3,) of the object's box, with its margin; None while it is not known.
        surroundings: (n, 3) points on top of what stands there; all below them down to the table counts as solid.
    """

    table: float
    centre: Array | None
    extent: Array | None
    surroundings: Array


def _se3(pose: Pose) -> pin.SE3:
    return pin.SE3(pose.rotation.as_matrix(), np.asarray(pose.position, float))


class ArmHandModel:
    """Kinematics and collision geometry of a robot with its hand."""

    def __init__(self, robot: RobotConfig, hand: HandConfig) -> None:
        self.robot, self.hand = robot, hand
        self.n_arm, self.n_hand = len(robot.joint_names), len(hand.joint_names)
        package_dirs = [str(example_robot_data_root())]
        models = [(str(resolve_model(robot.urdf)), "arm"), (str(resolve_model(hand.urdf, hand.urdf_source)), "hand")]
        (arm, arm_geometry), (fingers, hand_geometry) = (self._load(path, package_dirs) for path, _ in models)
        flange = arm.getFrameId(robot.flange_link)
        root = _se3(robot.hand_mount.pose()) * self._base_in_root(fingers, hand).inverse()
        self._arm_shapes = len(arm_geometry.geometryObjects)
        self.model, self.geometry = pin.appendModel(arm, fingers, arm_geometry, hand_geometry, flange,
                                                    root)
        self.data = self.model.createData()
        self._base_frame = self.model.getFrameId(hand.base_link)
        self._grasp_in_base = _se3(hand.grasp_frame.pose())
        self._index = np.array([self.model.joints[self.model.getJointId(n)].idx_q
                                for n in (*robot.joint_names, *hand.joint_names)])
        lower, upper = self.model.lowerPositionLimit[self._index], self.model.upperPositionLimit[self._index]
        self.lower = np.maximum(lower, np.concatenate([np.full(self.n_arm, -CIRCLE_LIMIT), hand.lower]))
        self.upper = np.minimum(upper, np.concatenate([np.full(self.n_arm, CIRCLE_LIMIT), hand.upper]))
        self._bones = self._links_with_parents()
        self._setup_collisions()

    def _links_with_parents(self) -> list[tuple[int, int]]:
        """Frames of the hand's links, each with that of the link it hangs on."""
        body, frames = pin.FrameType.BODY, self.model.frames
        bones = []
        for i, frame in enumerate(frames):
            parent = frame.parentFrame
            while frame.type == body and i > self._base_frame and parent > 0 and frames[parent].type != body:
                parent = frames[parent].parentFrame
            if frame.type == body and i > self._base_frame and parent >= self._base_frame:
                bones.append((parent, i))
        return bones

    @staticmethod
    def _base_in_root(fingers: pin.Model, hand: HandConfig) -> pin.SE3:
        """The hand's base_link in the root of its URDF, other joints than the hand's own at zero."""
        if not fingers.existFrame(hand.base_link):
            raise ConfigError(f"hand '{hand.name}': its URDF has no link '{hand.base_link}' (base_link)")
        joint = fingers.frames[fingers.getFrameId(hand.base_link)].parentJoint
        while joint > 0:
            if fingers.names[joint] in hand.joint_names:
                raise ConfigError(f"hand '{hand.name}': its base_link '{hand.base_link}' moves with joint "
                                  f"'{fingers.names[joint]}'")
            joint = fingers.parents[joint]
        data = fingers.createData()
        pin.framesForwardKinematics(fingers, data, pin.neutral(fingers))
        return data.oMf[fingers.getFrameId(hand.base_link)].copy()

    @staticmethod
    def _load(path: str, package_dirs: list[str]) -> tuple[pin.Model, pin.GeometryModel]:
        model = pin.buildModelFromUrdf(path)
        with warnings.catch_warnings():  # about an overload that is not the one meant
            warnings.simplefilter("ignore")
            geometry = pin.buildGeomFromUrdf(model, path, pin.GeometryType.COLLISION, package_dirs)
        for item in geometry.geometryObjects:
            if isinstance(item.geometry, coal.BVHModelBase):
                item.geometry.buildConvexHull(True, "Qt")  # a true hull: support queries climb along its edges
                item.geometry = item.geometry.convex
        return model, geometry

    def _setup_collisions(self) -> None:
        """Pairs: robot against itself (not neighbours; these come first), the table, the object's box, what else is seen."""
        g = self.geometry
        table = coal.Halfspace(np.array([0.0, 0.0, 1.0]), 0.0)
        self._table = g.addGeometryObject(pin.GeometryObject(
            "table", 0, pin.SE3(np.eye(3), np.array([0, 0, self.robot.table_height])), table))
        self._object = g.addGeometryObject(pin.GeometryObject("object", 0, pin.SE3.Identity(), coal.Box(1e-3, 1e-3, 1e-3)))
        self._seen = g.addGeometryObject(pin.GeometryObject(
            "what stands on the table", 0, pin.SE3.Identity(), coal.makeOctree(np.zeros((1, 3)), SURROUNDINGS_CELL)))
        arm_joints = [self.model.getJointId(n) for n in self.robot.joint_names]
        robot = [i for i, o in enumerate(g.geometryObjects) if i not in (self._table, self._object, self._seen)]
        joint = {i: g.geometryObjects[i].parentJoint for i in robot}
        is_hand = {i: i >= self._arm_shapes for i in robot}  # the hand's shapes were appended to the arm's
        rank = {i: (len(arm_joints) if is_hand[i] else (arm_joints.index(joint[i]) if joint[i] in arm_joints else -1))
                for i in robot}
        for a in robot:
            for b in robot:
                if a < b and not (is_hand[a] and is_hand[b]) and abs(rank[a] - rank[b]) > 2:
                    g.addCollisionPair(pin.CollisionPair(a, b))
        self._self_pairs = len(g.collisionPairs)
        moving = [i for i in robot if rank[i] >= 2]  # base and shoulder stand on the table
        for i in moving:
            g.addCollisionPair(pin.CollisionPair(i, self._table))
        self._object_pairs, self._seen_pairs = (self._pair_all(moving, thing) for thing in (self._object, self._seen))
        self._outer = [i for i in robot if rank[i] >= len(arm_joints) - 3]  # forearm, wrist and hand
        self._supports = [_support(g.geometryObjects[i].geometry) for i in self._outer]
        self.geometry_data = pin.GeometryData(g)
        self.set_object(None, None)
        self.set_surroundings(NOTHING)

    def _pair_all(self, moving: Sequence[int], thing: int) -> list[int]:
        """Pairs of a thing with each moving shape; their indices."""
        first = len(self.geometry.collisionPairs)
        for i in moving:
            self.geometry.addCollisionPair(pin.CollisionPair(i, thing))
        return list(range(first, len(self.geometry.collisionPairs)))

    def full(self, arm: Array, hand: Array) -> Array:
        """Pinocchio's configuration vector from arm (n_arm,) and hand (n_hand,) joints."""
        q = pin.neutral(self.model)
        q[self._index] = np.concatenate([arm, hand])
        return q

    # -- kinematics -------------------------------------------------------------------------------

    def grasp_pose(self, arm: Array) -> Pose:
        """The grasp frame in the base frame for arm joints (n_arm,)."""
        m = self._grasp_placement(arm)
        return Pose(m.translation.copy(), Rotation.from_matrix(m.rotation))

    def palm_position(self, arm: Array) -> Array:
        """(3,) m, where grasp_pose has its origin, in a tenth of the time: planner and gate ask thousands of times."""
        return np.array(self._grasp_placement(arm).translation)

    def _grasp_placement(self, arm: Array) -> pin.SE3:
        pin.forwardKinematics(self.model, self.data, self.full(arm, np.asarray(self.hand.open_pose)))
        return pin.updateFramePlacement(self.model, self.data, self._base_frame) * self._grasp_in_base

    def hand_bones(self, arm: Array, hand: Array) -> Array:
        """(k, 2, 3) the hand as lines from link to link, m in the base frame, for arm (n_arm,) and hand (n_hand,) joints."""
        pin.framesForwardKinematics(self.model, self.data, self.full(arm, hand))
        return np.array([[self.data.oMf[a].translation, self.data.oMf[b].translation] for a, b in self._bones])

    def flange_target(self, palm: Pose) -> Pose:
        """The flange link's pose in the base frame that brings the grasp frame to `palm`."""
        in_flange = self.robot.hand_mount.pose() @ self.hand.grasp_frame.pose()
        return palm @ in_flange.inverse()

    def palm_target(self, contact: Array, rotation: Rotation) -> Pose:
        """The grasp frame's pose that brings the hand's grasp centre to `contact`."""
        return Pose(np.asarray(contact) - rotation.apply(self.hand.grasp_centre), rotation)

    def inverse(self, target: Pose, seed: Array) -> Array | None:
        """Arm joints (n_arm,) that reach a grasp-frame pose, by damped least squares from `seed`.

        The null space pulls towards the robot's `ready` posture. None when it does not converge.
        """
        goal = _se3(target) * self._grasp_in_base.inverse()
        arm, columns = np.array(seed, float), self._index[:self.n_arm]
        hand = np.asarray(self.hand.open_pose)
        lower, upper = self.lower[:self.n_arm] + IK_LIMIT_MARGIN, self.upper[:self.n_arm] - IK_LIMIT_MARGIN
        ready = np.asarray(self.robot.ready)
        for _ in range(MAX_ITERATIONS):
            q = self.full(arm, hand)
            pin.computeJointJacobians(self.model, self.data, q)
            placement = pin.updateFramePlacement(self.model, self.data, self._base_frame)
            error = pin.log6(placement.actInv(goal)).vector
            if np.linalg.norm(error[:3]) < POSITION_TOLERANCE and np.linalg.norm(error[3:]) < ROTATION_TOLERANCE:
                return arm
            jacobian = pin.getFrameJacobian(self.model, self.data, self._base_frame, pin.LOCAL)[:, columns]
            gram = np.linalg.inv(jacobian @ jacobian.T + DAMPING**2 * np.eye(6) * min(1.0, float(np.linalg.norm(error))))
            pseudo = jacobian.T @ gram
            step = pseudo @ error + NULL_SPACE_GAIN * (np.eye(self.n_arm) - pseudo @ jacobian) @ (ready - arm)
            arm = np.clip(arm + np.clip(step, -0.4, 0.4), lower, upper)
        return None

    def follow(self, poses: Sequence[Pose], start: Array, max_jump: float = 0.3) -> Array | None:
        """Arm joints (k, n_arm) along grasp-frame poses, each from the last; None when broken off or jumping."""
        path, arm = [], start
        for pose in poses:
            solution = self.inverse(pose, arm)
            if solution is None or np.abs(solution - arm).max() > max_jump:
                return None
            path.append(solution)
            arm = solution
        return np.array(path)

    # -- collisions ---------------------------------------------------------------------------------

    def set_table(self, height: float) -> None:
        """Height of the table plane in the base frame, m."""
        self.geometry.geometryObjects[self._table].placement = pin.SE3(np.eye(3), np.array([0, 0, height]))
        self._refresh_broad_phase()

    def set_object(self, centre: Array | None, extent: Array | None) -> None:
        """The observed box of the object (m, base frame) as an obstacle, or None for no object."""
        known = centre is not None and extent is not None
        for k in self._object_pairs:
            self.geometry_data.activeCollisionPairs[k] = known
        if known:
            item = self.geometry.geometryObjects[self._object]
            item.geometry = coal.Box(*(np.asarray(extent, float) + 2 * OBJECT_MARGIN))
            item.placement = pin.SE3(np.eye(3), np.asarray(centre, float))
        self._refresh_broad_phase()

    def set_surroundings(self, points: Array) -> None:
        """Points (n, 3), m, base frame, on what stands on the table, as an obstacle of cells that reach down to the table.

        What lies under a seen surface was not seen and counts as solid. Points beyond REACH, and NaN, are left out.
        """
        points = np.asarray(points, float).reshape(-1, 3)
        self._surroundings = points[(np.abs(points) < REACH).all(axis=1)]
        for k in self._seen_pairs:
            self.geometry_data.activeCollisionPairs[k] = self.knows_surroundings
        if self.knows_surroundings:
            table = self.geometry.geometryObjects[self._table].placement.translation[2]
            down = [np.arange(p[2], min(table, p[2] - 1e-3), -SURROUNDINGS_CELL) for p in self._surroundings]
            columns = [np.column_stack([np.tile(p[:2], (len(z), 1)), z])
                       for p, z in zip(self._surroundings, down, strict=True)]
            self.geometry.geometryObjects[self._seen].geometry = coal.makeOctree(np.vstack(columns), SURROUNDINGS_CELL)
        self._refresh_broad_phase()

    def forget_object(self) -> None:
        """The object may no longer be where it was seen: neither its box nor what of the surroundings lay in it counts."""
        item = self.geometry.geometryObjects[self._object]
        if self.geometry_data.activeCollisionPairs[self._object_pairs[0]]:
            away = np.abs(self._surroundings - item.placement.translation) > item.geometry.halfSide + SURROUNDINGS_CELL / 2
            self.set_surroundings(self._surroundings[away.any(axis=1)])
        self.set_object(None, None)

    def obstacles(self) -> Obstacles:
        """What has been set."""
        item = self.geometry.geometryObjects[self._object]
        known = bool(self.geometry_data.activeCollisionPairs[self._object_pairs[0]])
        return Obstacles(float(self.geometry.geometryObjects[self._table].placement.translation[2]),
                         item.placement.translation.copy() if known else None,
                         2 * np.array(item.geometry.halfSide) if known else None, self._surroundings.copy())

    @property
    def knows_surroundings(self) -> bool:
        """There are points of what stands on the table."""
        return len(self._surroundings) > 0

    def _refresh_broad_phase(self) -> None:
        """The broad phase copies shapes and active pairs, so it is made anew when they change."""
        self._broad_phase = pin.BroadPhaseManager_DynamicAABBTreeCollisionManager(
            self.model, self.geometry, self.geometry_data)

    def colliding(self, arm: Array, hand: Array) -> str:
        """Names of the first two things that touch ("" when nothing does)."""
        q = self.full(arm, hand)
        if not pin.computeCollisions(self.model, self.data, self._broad_phase, q, True):
            return ""
        pin.computeCollisions(self.model, self.data, self.geometry, self.geometry_data, q, True)
        for k in range(len(self.geometry.collisionPairs)):
            if self.geometry_data.activeCollisionPairs[k] and self.geometry_data.collisionResults[k].isCollision():
                return self._named(k)
        return "parts of the robot"

    def self_contacts(self, arm: Array, hand: Array) -> set[str]:
        """Names of the pairs of the robot's parts that touch. Fingers among each other and neighbours are not looked at."""
        pin.updateGeometryPlacements(self.model, self.data, self.geometry, self.geometry_data, self.full(arm, hand))
        return {self._named(k) for k in range(self._self_pairs) if pin.computeCollision(self.geometry, self.geometry_data, k)}

    def _named(self, pair: int) -> str:
        """The two things of a collision pair."""
        first, second = (self.geometry.geometryObjects[i].name for i in (self.geometry.collisionPairs[pair].first,
                                                                       self.geometry.collisionPairs[pair].second))
        return f"{first} and {second}"

    def blocked(self, arm: Array, hand: Array) -> bool:
        """True where a plan may not pass: something touches, or the palm is outside the workspace."""
        palm = self.palm_position(arm)
        workspace = self.robot.workspace
        inside = bool((palm >= workspace.lower).all() and (palm <= workspace.upper).all())
        return not inside or bool(self.colliding(arm, hand))

    def clearance(self, arm: Array, hand: Array) -> float:
        """m, signed distance of the lowest point of forearm, wrist and hand from the table plane."""
        q = self.full(arm, hand)
        pin.updateGeometryPlacements(self.model, self.data, self.geometry, self.geometry_data, q)
        table = self.geometry.geometryObjects[self._table].placement.translation[2]
        lowest = np.inf
        for i, (points, radius) in zip(self._outer, self._supports, strict=True):
            placement = self.geometry_data.oMg[i]
            lowest = min(lowest, float((points @ placement.rotation[2]).min()) + placement.translation[2] - radius)
        return float(lowest - table)


def _support(shape: coal.CollisionGeometry) -> tuple[Array, float]:
    """Points (n, 3), m, in the shape's frame, and a radius; their hull contains the shape.

    Exactly, but for cylinders (a prism round them) and unknown shapes (a cube round them).
    """
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))
    if isinstance(shape, coal.ConvexBase):
        return np.array(shape.points()), 0.0
    if isinstance(shape, coal.Box):
        return corners * np.array(shape.halfSide), 0.0
    if isinstance(shape, coal.Sphere):
        return np.zeros((1, 3)), float(shape.radius)
    if isinstance(shape, coal.Capsule):
        return np.array([[0.0, 0.0, -shape.halfLength], [0.0, 0.0, shape.halfLength]]), float(shape.radius)
    if isinstance(shape, coal.Cylinder):
        angle = 2 * np.pi * np.arange(CIRCLE_CORNERS) / CIRCLE_CORNERS
        rim = shape.radius / np.cos(np.pi / CIRCLE_CORNERS) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        ends = [np.column_stack([rim, np.full(CIRCLE_CORNERS, z)]) for z in (-shape.halfLength, shape.halfLength)]
        return np.vstack(ends), 0.0
    shape.computeLocalAABB()
    return np.array(shape.aabb_center) + corners * shape.aabb_radius, 0.0
