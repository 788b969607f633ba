"""`deft doctor --hand`: is a hand's YAML right? What each check found, and a picture of the hand as the YAML has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deft_bringup.checkup import Finding, Grade
from deft_core.config import load
from deft_core.descriptions import HandConfig
from deft_core.errors import ConfigError, DeftError
from deft_core.types import Array
from deft_retarget.kinematics import HandKinematics, model_is_there
from deft_retarget.motions import gesture
from deft_retarget.retargeter import Retargeter

WIDER = 0.02          # rad, a limit beyond the URDF's that is no rounding
FAR_TIPS = 0.04       # m, a mean fingertip error above this deserves a look
AXIS_COLOURS = ("tab:red", "tab:green", "tab:blue")
AXIS_LENGTH = 0.04    # m
POSTURES = ("open", "half closed", "closed")
GESTURES = ("flat", "half_closed", "fist")


def fingers(retargeter: Retargeter, joints: Array) -> list[Array]:
    """For each finger the origin of base_link, the joints that move its tip, and the tip: (c, 3) m in the grasp frame.

    Args:
        joints: (n,) rad.
    """
    to_grasp, rows = retargeter.hand.grasp_frame.pose().inverse(), range(1, 1 + len(retargeter.fingers))
    return [to_grasp.apply(np.vstack([np.zeros(3), chain])) for chain in retargeter.kinematics.chain_points(joints, rows)]


def postures(hand: HandConfig) -> dict[str, Array]:
    """Joints (n,), rad: open, closed (what squeezing moves goes to its limit that way), and half of it."""
    start, push = np.array(hand.open_pose), np.array(hand.squeeze)
    end = np.where(push > 0, hand.upper, np.where(push < 0, hand.lower, start))
    return {name: hand.followed(start + share * (end - start)) for name, share in zip(POSTURES, (0.0, 0.5, 0.8), strict=True)}


def check(file: Path, picture: Path) -> list[Finding]:
    """All checks of a hand's YAML; a check whose ground is missing is left out."""
    try:
        hand = load(HandConfig, file)
        retargeter = Retargeter(hand)
    except (ConfigError, DeftError) as error:
        return [Finding("file", Grade.fail, str(error))]
    counts = f"{len(hand.joint_names)} joints, {len(hand.motors)} motors"
    out = [Finding("file", Grade.ok, f"{hand.name}: {hand.side} hand, {counts}"),
           _source(hand), _limits(hand, retargeter.kinematics), *_frame(hand, retargeter),
           _retargeting(retargeter), _driver(hand)]
    draw(hand, retargeter, picture)
    return [*out, Finding("picture", Grade.ok, f"{picture}: look whether it closes as yours does")]


def _source(hand: HandConfig) -> Finding:
    if model_is_there(hand):
        return Finding("model", Grade.ok, str(Path(hand.urdf).expanduser()))
    where = f"; get it from {hand.urdf_source}" if hand.urdf_source else ""
    return Finding("model", Grade.warn, f"the URDF {hand.urdf} is not on this machine{where}. Retargeting works by the YAML's "
                                        "table; motion needs the URDF")


def _limits(hand: HandConfig, kinematics: HandKinematics) -> Finding:
    order, model = kinematics.pin_order, kinematics.model
    lower, upper = np.array(hand.lower)[order], np.array(hand.upper)[order]
    beyond = (lower < model.lowerPositionLimit - WIDER) | (upper > model.upperPositionLimit + WIDER)
    wide = [hand.joint_names[k] for k in sorted(order[beyond])]
    if wide:
        return Finding("limits", Grade.warn, f"wider than the URDF's: {', '.join(wide)}; the narrower ones are used")
    return Finding("limits", Grade.ok, "within the URDF's")


def _frame(hand: HandConfig, retargeter: Retargeter) -> list[Finding]:
    """x to the fingers, z out of the palm: the fingertips say where those are."""
    known = postures(hand)
    tips, closed = (np.array([finger[-1] for finger in fingers(retargeter, known[name])]) for name in ("open", "half closed"))
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


def draw(hand: HandConfig, retargeter: Retargeter, file: Path) -> None:
    """The three postures, each from the side and from the front of the palm, with the grasp frame and the grasp centre."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(9, 6.2))
    for column, (name, joints) in enumerate(postures(hand).items()):
        lines = fingers(retargeter, joints)
        points = np.vstack(lines)
        for row, (elevation, azimuth) in enumerate(((0, -90), (90, -90))):
            axes = figure.add_subplot(2, 3, 1 + column + 3 * row, projection="3d")
            for line in lines:
                axes.plot(*line.T, "-o", color="0.3", linewidth=2, markersize=2)
            for k, colour in enumerate(AXIS_COLOURS):
                axes.quiver(0, 0, 0, *(AXIS_LENGTH * np.eye(3)[k]), color=colour, linewidth=2)
            axes.plot(*np.array(hand.grasp_centre)[:, None], "x", color="black", markersize=8)
            axes.set_box_aspect((1, 1, 1), zoom=1.6)
            axes.set_axis_off()
            middle, half = points.mean(axis=0), 0.6 * float(np.ptp(points, axis=0).max())
            for place, centre in zip((axes.set_xlim, axes.set_ylim, axes.set_zlim), middle, strict=True):
                place(centre - half, centre + half)
            axes.view_init(elevation, azimuth)
            if row == 0:
                axes.set_title(name)
    figure.suptitle(f"{hand.name}: from the side, from the front of the palm; x to the fingers red, z out of the palm blue, "
                    "grasp centre x", fontsize=9)
    figure.savefig(file, dpi=110)
    plt.close(figure)
