"""`deft doctor --hand`: is a hand's YAML right? What each check found, and a picture of the hand as the YAML has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pinocchio as pin

from deft_bringup.checkup import Finding, Grade
from deft_core.config import load
from deft_core.descriptions import HandConfig
from deft_core.errors import ConfigError, DeftError
from deft_core.types import Array
from deft_retarget.kinematics import model_is_there, urdf_of
from deft_retarget.motions import gesture
from deft_retarget.retargeter import Retargeter

WIDER = 0.02          # rad, a limit beyond the URDF's that is no rounding
FAR_TIPS = 0.04       # m, a mean fingertip error above this deserves a look
AXIS_COLOURS = ("tab:red", "tab:green", "tab:blue")
AXIS_LENGTH = 0.04    # m
POSTURES = ("open", "half closed", "closed")
GESTURES = ("flat", "half_closed", "fist")


class HandModel:
    """The hand by its URDF, or by the table in its YAML. Raises ConfigError where neither fits."""

    def __init__(self, hand: HandConfig) -> None:
        self.hand = hand
        try:
            self.model = pin.buildModelFromXML(urdf_of(hand))
        except (ValueError, RuntimeError) as error:
            raise ConfigError(f"the URDF {hand.urdf} cannot be read: {error}") from None
        self.data = self.model.createData()
        absent = [name for name in hand.joint_names if not self.model.existJointName(name)]
        if absent:
            known = [name for name in self.model.names if name != "universe"]
            raise ConfigError(f"joint_names has '{absent[0]}', which the URDF has not; it has {', '.join(known)}")
        if not self.model.existFrame(hand.base_link):
            raise ConfigError(f"base_link '{hand.base_link}' is no link of the URDF; it has "
                              + ", ".join(f.name for f in self.model.frames if f.type == pin.FrameType.BODY))
        self._index = [self.model.joints[self.model.getJointId(name)].idx_q for name in hand.joint_names]

    def _placed(self, joints: Array) -> pin.SE3:
        """Places all frames for joints (n,), rad; the grasp frame in the URDF's root."""
        q = pin.neutral(self.model)
        q[self._index] = joints
        pin.framesForwardKinematics(self.model, self.data, q)
        grasp = self.hand.grasp_frame.pose()
        return self.data.oMf[self.model.getFrameId(self.hand.base_link)] * pin.SE3(grasp.rotation.as_matrix(), grasp.position)

    def bones(self, joints: Array) -> Array:
        """(k, 2, 3) m in the grasp frame: each link's origin with that of the link it hangs on."""
        to_grasp, body, out = self._placed(joints).inverse(), pin.FrameType.BODY, []
        for i, frame in enumerate(self.model.frames):
            parent = frame.parentFrame
            while parent > 0 and self.model.frames[parent].type != body:
                parent = self.model.frames[parent].parentFrame
            if frame.type == body and parent > 0:
                out.append([to_grasp.act(self.data.oMf[k].translation) for k in (parent, i)])
        return np.array(out)

    def tips(self, joints: Array, links: list[str]) -> Array:
        """(f, 3) m in the grasp frame: the origins of links."""
        to_grasp = self._placed(joints).inverse()
        return np.array([to_grasp.act(self.data.oMf[self.model.getFrameId(link)].translation) for link in links])

    def limits(self) -> tuple[Array, Array]:
        """Lower and upper limits (n,), rad, of the URDF."""
        return self.model.lowerPositionLimit[self._index], self.model.upperPositionLimit[self._index]


def postures(hand: HandConfig) -> dict[str, Array]:
    """Joints (n,), rad: open, closed (what squeezing moves goes to its limit that way), and half of it."""
    start, push = np.array(hand.open_pose), np.array(hand.squeeze)
    end = np.where(push > 0, hand.upper, np.where(push < 0, hand.lower, start))
    return {name: hand.followed(start + share * (end - start)) for name, share in zip(POSTURES, (0.0, 0.5, 0.8), strict=True)}


def check(file: Path, picture: Path) -> list[Finding]:
    """All checks of a hand's YAML; a check whose ground is missing is left out."""
    try:
        hand = load(HandConfig, file)
        model = HandModel(hand)
        retargeter = Retargeter(hand)
    except (ConfigError, DeftError) as error:
        return [Finding("file", Grade.fail, str(error))]
    counts = f"{len(hand.joint_names)} joints, {len(hand.motors)} motors"
    out = [Finding("file", Grade.ok, f"{hand.name}: {hand.side} hand, {counts}"),
           _source(hand), _limits(hand, model), *_frame(hand, model, list(retargeter.config.fingertips.values())),
           _retargeting(retargeter), _driver(hand)]
    draw(hand, model, picture)
    return [*out, Finding("picture", Grade.ok, f"{picture}: look whether it closes as yours does")]


def _source(hand: HandConfig) -> Finding:
    if model_is_there(hand):
        return Finding("model", Grade.ok, str(Path(hand.urdf).expanduser()))
    where = f"; get it from {hand.urdf_source}" if hand.urdf_source else ""
    return Finding("model", Grade.warn, f"the URDF {hand.urdf} is not on this machine{where}. Retargeting works by the YAML's "
                                        "table; motion needs the URDF")


def _limits(hand: HandConfig, model: HandModel) -> Finding:
    low, high = model.limits()
    wide = [n for n, a, b, c, d in zip(hand.joint_names, hand.lower, low, hand.upper, high, strict=True)
            if a < b - WIDER or c > d + WIDER]
    if wide:
        return Finding("limits", Grade.warn, f"wider than the URDF's: {', '.join(wide)}; the narrower ones are used")
    return Finding("limits", Grade.ok, "within the URDF's")


def _frame(hand: HandConfig, model: HandModel, links: list[str]) -> list[Finding]:
    """x to the fingers, z out of the palm: the fingertips say where those are."""
    known = postures(hand)
    absent = [link for link in links if not model.model.existFrame(link)]
    if absent:
        return [Finding("fingertips", Grade.fail, f"retarget.fingertips names '{absent[0]}', which is no link of the URDF")]
    tips, closed = (model.tips(known[name], links) for name in ("open", "half closed"))
    moved = (closed - tips).mean(axis=0)
    out = []
    if tips.mean(axis=0)[0] <= 0:
        out.append(Finding("grasp frame", Grade.fail, "its x points away from the fingertips; turn grasp_frame.rpy so that the "
                                                      "red arrow of the picture goes to the fingers"))
    elif moved[2] <= 0:
        out.append(Finding("grasp frame", Grade.fail, "closing moves the fingertips against its z: z has to come out of the "
                                                      "palm (blue in the picture); or squeeze has the wrong sign"))
    else:
        out.append(Finding("grasp frame", Grade.ok, f"fingertips are {tips.mean(axis=0)[0] * 100:.0f} cm along x; half closing "
                                                    f"brings them {moved[2] * 100:.1f} cm along z"))
    ahead = hand.grasp_centre[2] > 0
    out.append(Finding("grasp centre", Grade.ok if ahead else Grade.fail, f"{hand.grasp_centre[2] * 100:.1f} cm out of the palm"
                       + ("" if ahead else "; it has to lie between palm and fingers, at positive z")))
    return out


def _retargeting(retargeter: Retargeter) -> Finding:
    """How near the fingertips come to a human's."""
    errors = {}
    for name in GESTURES:
        try:
            errors[name] = retargeter.retarget(gesture(retargeter.skeleton, name)).fingertip_error
        except DeftError as error:
            return Finding("retargeting", Grade.fail, f"{name}: {error.message}")
    words = ", ".join(f"{name} {error * 1000:.0f} mm" for name, error in errors.items())
    far = max(errors.values()) > FAR_TIPS
    return Finding("retargeting", Grade.warn if far else Grade.ok, f"fingertips off by {words}"
                   + ("; try `deft hand fit-thumb`, or method vector" if far else ""))


def _driver(hand: HandConfig) -> Finding:
    if hand.interface is None:
        return Finding("driver", Grade.ok, "takes JointTrajectory on the robot's hand_command_topic (ros2_control)")
    there = hand.interface
    state = {"topic": there.state.topic, "service": there.state.service,
             "none": "not at all: the commanded posture is taken for it"}[there.state.source]
    return Finding("driver", Grade.warn if there.state.source == "none" else Grade.ok,
                   f"hand_node sends {there.command.type} to {there.command.topic} within limits and speed; state: {state}")


def draw(hand: HandConfig, model: HandModel, file: Path) -> None:
    """The three postures, each from the side and from the front of the palm, with the grasp frame and the grasp centre."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(9, 6.2))
    for column, (name, joints) in enumerate(postures(hand).items()):
        bones = model.bones(joints)
        for row, (elevation, azimuth) in enumerate(((0, -90), (90, -90))):
            axes = figure.add_subplot(2, 3, 1 + column + 3 * row, projection="3d")
            for bone in bones:
                axes.plot(*bone.T, "-o", color="0.3", linewidth=2, markersize=2)
            for k, colour in enumerate(AXIS_COLOURS):
                axes.quiver(0, 0, 0, *(AXIS_LENGTH * np.eye(3)[k]), color=colour, linewidth=2)
            axes.plot(*np.array(hand.grasp_centre)[:, None], "x", color="black", markersize=8)
            axes.set_box_aspect((1, 1, 1), zoom=1.6)
            axes.set_axis_off()
            middle, half = bones.reshape(-1, 3).mean(axis=0), 0.6 * float(np.ptp(bones.reshape(-1, 3), axis=0).max())
            for place, centre in zip((axes.set_xlim, axes.set_ylim, axes.set_zlim), middle, strict=True):
                place(centre - half, centre + half)
            axes.view_init(elevation, azimuth)
            if row == 0:
                axes.set_title(name)
    figure.suptitle(f"{hand.name}: from the side, from the front of the palm; x to the fingers red, z out of the palm blue, "
                    "grasp centre x", fontsize=9)
    figure.savefig(file, dpi=110)
    plt.close(figure)
