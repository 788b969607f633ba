"""A robot hand as Pinocchio sees it: fingertips and their derivatives, in the coordinates of the hand's motors."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pinocchio as pin

from deft_core.config import nearest
from deft_core.descriptions import HandConfig, resolve_model
from deft_core.errors import ConfigError
from deft_core.types import Array


def urdf_of(hand: HandConfig) -> str:
    """The hand's URDF as text: the file where it is there, otherwise one of bare links made from the hand's kinematic table.

    Raises:
        ConfigError: neither is there.
    """
    table = hand.kinematics
    if table is None or model_is_there(hand):
        return resolve_model(hand.urdf, hand.urdf_source).read_text()
    robot = ElementTree.Element("robot", name=hand.name)
    links = {hand.base_link, *(j.parent for j in table.joints.values()), *(j.child for j in table.joints.values()),
             *table.frames}
    for link in sorted(links):
        ElementTree.SubElement(robot, "link", name=link)
    limits = {name: (lo, hi) for name, lo, hi in zip(hand.joint_names, hand.lower, hand.upper, strict=True)}
    for name, row in table.joints.items():
        lower, upper = limits.get(name, (0.0, 0.0))
        joint = _joint(robot, name, "revolute", row.parent, row.child, row.xyz, row.rpy)
        ElementTree.SubElement(joint, "axis", xyz=_text(row.axis))
        ElementTree.SubElement(joint, "limit", lower=str(lower), upper=str(upper), effort="1",
                               velocity=str(hand.velocity_limit))
    for name, frame in table.frames.items():
        _joint(robot, f"{name}_joint", "fixed", frame.parent, name, frame.xyz, (0.0, 0.0, 0.0))
    return ElementTree.tostring(robot, encoding="unicode")


def _joint(robot: ElementTree.Element, name: str, kind: str, parent: str, child: str, xyz: tuple[float, ...],
           rpy: tuple[float, ...]) -> ElementTree.Element:
    joint = ElementTree.SubElement(robot, "joint", name=name, type=kind)
    ElementTree.SubElement(joint, "parent", link=parent)
    ElementTree.SubElement(joint, "child", link=child)
    ElementTree.SubElement(joint, "origin", xyz=_text(xyz), rpy=_text(rpy))
    return joint


def _text(numbers: tuple[float, ...]) -> str:
    return " ".join(map(str, numbers))


class HandKinematics:
    """Points on a robot hand as a function of its joints.

    Joint angles are in the hand's order (n); motors are its independent joints (m), and joints = ratio * motors[source].
    Positions are metres in the hand's base_link.

    Args:
        hand: its description; joints of the URDF that it does not name are held at zero.
        points: name of a link of the URDF, and a point in its frame, m.

    Raises:
        ConfigError: no model, unknown joints or links, joints other than revolute ones.
    """

    def __init__(self, hand: HandConfig, points: list[tuple[str, Array]]) -> None:
        self.hand = hand
        full = self._full_model()
        base = self._frame(full, hand.base_link)
        for name in hand.joint_names:
            if not full.existJointName(name):
                raise ConfigError(f"hand '{hand.name}': its URDF has no joint '{name}': {nearest(name, list(full.names)[1:])}")
        held = [full.getJointId(name) for name in list(full.names)[1:] if name not in hand.joint_names]
        self.model = pin.buildReducedModel(full, held, pin.neutral(full))
        if self.model.nq != len(hand.joint_names):
            raise ConfigError(f"hand '{hand.name}': only revolute joints with limits are supported, {self.model.nq} numbers "
                              f"describe its {len(hand.joint_names)} joints")
        # base_link may stand anywhere in the URDF's tree, a wrist that is held at zero included
        pin.framesForwardKinematics(full, full_data := full.createData(), pin.neutral(full))
        self._base_place, self._base_turn = full_data.oMf[base].translation.copy(), full_data.oMf[base].rotation.copy()
        self._add_points(points)
        self._couple()

    def _full_model(self) -> pin.Model:
        try:
            return pin.buildModelFromXML(urdf_of(self.hand))
        except (ValueError, UnicodeDecodeError) as error:
            where = "kinematics" if self.hand.kinematics and not model_is_there(self.hand) else self.hand.urdf
            raise ConfigError(f"hand '{self.hand.name}': {where} is no tree of links and joints ({error})") from None

    def _frame(self, model: pin.Model, link: str) -> int:
        if not model.existFrame(link, pin.FrameType.BODY):
            links = [f.name for f in model.frames if f.type == pin.FrameType.BODY]
            raise ConfigError(f"hand '{self.hand.name}': its URDF has no link '{link}': {nearest(link, links)}")
        return int(model.getFrameId(link, pin.FrameType.BODY))

    def _add_points(self, points: list[tuple[str, Array]]) -> None:
        ids = []
        for k, (link, offset) in enumerate(points):
            frame = self.model.frames[self._frame(self.model, link)]
            placement = frame.placement * pin.SE3(np.eye(3), np.asarray(offset, float))
            ids.append(self.model.addFrame(pin.Frame(f"deft_point_{k}", frame.parentJoint, placement, pin.FrameType.OP_FRAME)))
        self._point_frames = ids
        self.data = self.model.createData()
        # (points, n): does the joint move the point; columns in Pinocchio's order
        self.support = np.zeros((len(points), self.model.nq), bool)
        for k, frame in enumerate(ids):
            self.support[k, [self.model.joints[joint].idx_q for joint in self._chain(frame)]] = True
        # Live views of Pinocchio's memory: they follow every update of the placements.
        self.world_points = tuple(self.data.oMf[frame].translation for frame in ids)

    def _couple(self) -> None:
        hand = self.hand
        self.source, self.ratio = hand.coupling()
        order = [self.model.joints[self.model.getJointId(name)].idx_q for name in hand.joint_names]
        self.pin_order = np.argsort(order)                    # hand joint of each of Pinocchio's
        self.pin_source, self.pin_ratio = self.source[self.pin_order], self.ratio[self.pin_order]
        self.lower, self.upper = hand.motor_limits()
        self._joint_limits = np.array(hand.lower), np.array(hand.upper)
        self.motor_rows = np.array([hand.joint_names.index(name) for name in hand.motors])

    def joints(self, motors: Array) -> Array:
        """All joints (..., n), rad, of motor angles (..., m), exactly within the joints' limits."""
        return np.asarray(np.clip(self.ratio * motors[..., self.source], *self._joint_limits))

    def update(self, pin_joints: Array) -> None:
        """Places and Jacobians (data.J, world axes) at joint angles (n,), rad, in Pinocchio's order."""
        pin.computeJointJacobians(self.model, self.data, pin_joints)
        pin.updateFramePlacements(self.model, self.data)

    def points(self, joints: Array) -> Array:
        """The points (k, 3), m, base_link, at joint angles (n,), rad, in the hand's order."""
        pin.framesForwardKinematics(self.model, self.data, np.asarray(joints, float)[self.pin_order])
        return self.in_base(np.array(self.world_points))

    def in_base(self, points: Array) -> Array:
        """Points (..., 3) of the URDF's root frame in base_link, m."""
        return np.asarray((points - self._base_place) @ self._base_turn)

    def from_base(self, vectors: Array) -> Array:
        """Vectors (..., 3) of base_link along the axes of the URDF's root frame."""
        return np.asarray(vectors @ self._base_turn.T)

    def moved_by(self, row: int) -> set[str]:
        """Names of the joints that move a point."""
        return {self.hand.joint_names[j] for j in self.pin_order[self.support[row]]}

    def chains(self, rows: range) -> list[list[str]]:
        """For each of these points, the links behind its moving joints, from the palm to the tip."""
        return [[self._link_behind(joint) for joint in self._chain(self._point_frames[row])] for row in rows]

    def _chain(self, frame: int) -> list[int]:
        """The joints that move a frame, from the palm to it."""
        chain: list[int] = []
        joint = int(self.model.frames[frame].parentJoint)
        while joint > 0:
            chain.insert(0, joint)
            joint = int(self.model.parents[joint])
        return chain

    def _link_behind(self, joint: int) -> str:
        for frame in self.model.frames:
            if frame.type == pin.FrameType.BODY and frame.parentJoint == joint and frame.placement.isIdentity():
                return str(frame.name)
        raise ConfigError(f"hand '{self.hand.name}': no link stands at the joint '{self.model.names[joint]}'")

    def chain_points(self, joints: Array, rows: range) -> list[Array]:
        """For each of these points, the joints that move it and the point itself, from the palm out: (c, 3), m, base_link."""
        points = self.points(joints)
        return [np.array([*(self.in_base(self.data.oMi[joint].translation) for joint in self._chain(self._point_frames[row])),
                          points[row]]) for row in rows]


def model_is_there(hand: HandConfig) -> bool:
    """Whether the hand's own URDF, with its shapes, is on this machine."""
    try:
        return resolve_model(hand.urdf, hand.urdf_source).is_file()
    except ConfigError:
        return False
