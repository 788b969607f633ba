"""The MuJoCo model of robot and table. Settings were found by measurement; see docs/simulation.md."""

from __future__ import annotations

import re

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from deft_core.config import parse
from deft_core.descriptions import HandConfig, RobotConfig, example_robot_data_root, resolve_model
from deft_core.types import Pose
from deft_sim.config import HandSim, RobotSim
from deft_sim.realism import Cell, Light

HAND_PREFIX = "hand/"
TIMESTEP = 0.002  # s
ROBOT, OBJECT, TABLE, FINGER = 1, 2, 4, 8  # collision bits; robot parts meet each other only as FINGER
SOLVER = {"solref": [0.01, 1.0], "solimp": [0.9, 0.95, 0.001, 0.5, 2.0]}


def _from_urdf(path: str, source: str = "") -> mujoco.MjSpec:
    text = resolve_model(path, source).read_text().replace("package://", f"{example_robot_data_root()}/")
    extension = ('<mujoco><compiler balanceinertia="true" discardvisual="false" fusestatic="false" '
                 'strippath="false"/></mujoco>')
    return mujoco.MjSpec.from_string(re.sub(r"(<robot[^>]*>)", rf"\1{extension}", text, count=1))


def _is_visual(geom: mujoco.MjsGeom) -> bool:
    return not (geom.contype or geom.conaffinity)


def _prepare_arm(spec: mujoco.MjSpec, robot: RobotConfig, settings: RobotSim) -> None:
    """Gravity compensation and servos; only the last three links collide, and not with the robot itself."""
    colliding = spec.bodies[-4:]
    for body in spec.bodies[1:]:
        body.gravcomp = 1.0
        for geom in list(body.geoms):
            if _is_visual(geom):
                geom.rgba = [0.93, 0.93, 0.95, 1.0]
                continue
            geom.group = 3
            geom.contype, geom.conaffinity = (ROBOT, OBJECT | TABLE) if body in colliding else (0, 0)
            geom.condim, geom.friction = 4, [0.8, 0.02, 0.0005]
    for name, kv in zip(robot.joint_names, settings.kv, strict=True):
        joint = spec.joint(name)
        joint.armature = settings.armature
        _add_servo(spec, name, settings.kp, kv, abs(joint.actfrcrange[1]) or 50.0)


def _prepare_hand(spec: mujoco.MjSpec, hand: HandConfig, settings: HandSim) -> None:
    """Light joints, weak servos, capsules for fingers (boxes jam on round objects)."""
    palm = spec.body(hand.base_link)
    for body in spec.bodies[1:]:
        body.gravcomp = 1.0
        meets_fingers = body is palm or _is_distal(body)
        for geom in list(body.geoms):
            if _is_visual(geom):
                geom.rgba = [0.16, 0.16, 0.18, 1.0]
                continue
            geom.group = 3
            tip = geom.type == mujoco.mjtGeom.mjGEOM_SPHERE
            slim = geom.type == mujoco.mjtGeom.mjGEOM_BOX and geom.size[0] < 0.0105 and geom.size[2] > 0.012
            if slim:
                half = max(geom.size[2] - settings.finger_radius / 2, 0.002)
                geom.type = mujoco.mjtGeom.mjGEOM_CAPSULE
                geom.size = [settings.finger_radius, half, 0.0]
            geom.contype = ROBOT | (FINGER if meets_fingers else 0)
            geom.conaffinity = OBJECT | TABLE | (FINGER if meets_fingers else 0)
            geom.condim = 4
            geom.friction = [settings.tip_friction if tip else settings.friction, 0.02, 0.0005]
            time, damping = SOLVER["solref"]
            geom.solref, geom.solimp = [time * settings.softness, damping], SOLVER["solimp"]
    for name in hand.joint_names:
        joint = spec.joint(name)
        joint.armature, joint.damping = settings.armature, [settings.damping, 0.0, 0.0]
        joint.frictionloss = settings.frictionloss
        _add_servo(spec, name, settings.kp, settings.kv, settings.torque_limit)

    for root in palm.bodies:
        chain = [root, *_descendants(root)]
        for i, a in enumerate(chain):
            for b in chain[i + 1:]:
                spec.add_exclude(bodyname1=a.name, bodyname2=b.name)
        for b in chain[:2]:
            spec.add_exclude(bodyname1=palm.name, bodyname2=b.name)


def _base_in_root(spec: mujoco.MjSpec, base_link: str) -> Pose:
    """A link of a hand in the root of its URDF, joints at zero."""
    pose, body = Pose.identity(), spec.body(base_link)
    while body is not None and body.name != "world":
        pose = Pose(np.array(body.pos), Rotation.from_quat(np.roll(body.quat, -1))) @ pose  # wxyz -> xyzw
        body = body.parent
    return pose


def _descendants(body: mujoco.MjsBody) -> list[mujoco.MjsBody]:
    return [d for child in body.bodies for d in (child, *_descendants(child))]


def _is_distal(body: mujoco.MjsBody) -> bool:
    """The last two links of a finger and its tip: at most two links further out."""
    return len(_descendants(body)) <= 2


def _add_servo(spec: mujoco.MjSpec, joint: str, kp: float, kv: float, limit: float) -> None:
    spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT,
                      gaintype=mujoco.mjtGain.mjGAIN_FIXED, biastype=mujoco.mjtBias.mjBIAS_AFFINE,
                      gainprm=[kp] + [0.0] * 9, biasprm=[0.0, -kp, -kv] + [0.0] * 7,
                      forcelimited=True, forcerange=[-limit, limit])


def _add_surroundings(spec: mujoco.MjSpec, robot: RobotConfig, light: Light) -> None:
    """Table, floor, two soft lights and a studio background."""
    spec.visual.headlight.ambient = [light.room] * 3
    spec.visual.headlight.diffuse = [0.25, 0.25, 0.25]
    spec.visual.headlight.specular = [0.0, 0.0, 0.0]
    spec.visual.map.znear, spec.visual.map.zfar = 0.01, 20.0
    spec.visual.global_.offwidth, spec.visual.global_.offheight = robot.camera.width, robot.camera.height
    spec.visual.quality.shadowsize = 1024
    spec.add_texture(name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
                     rgb1=[0.80, 0.84, 0.88], rgb2=[0.55, 0.60, 0.66], width=64, height=384)
    world = spec.worldbody
    world.add_light(pos=[0.3, -0.8, 1.6], dir=light.direction, diffuse=[light.lamp] * 3, castshadow=True,
                    type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)
    spec.add_texture(name="wood", type=mujoco.mjtTexture.mjTEXTURE_2D, builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
                     rgb1=[0.62, 0.47, 0.33], rgb2=[0.58, 0.43, 0.30], width=256, height=256)
    wood = spec.add_material(name="wood", texrepeat=[6, 2])
    wood.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "wood"
    world.add_geom(name="table", type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.45, 0.6, 0.02], material="wood",
                   pos=[0.5, 0.0, robot.table_height - 0.02], contype=TABLE, conaffinity=ROBOT | OBJECT,
                   friction=[0.9, 0.02, 0.0005], condim=4, solref=SOLVER["solref"], solimp=SOLVER["solimp"])
    world.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[3, 3, 0.1], pos=[0, 0, -0.75],
                   rgba=[0.45, 0.47, 0.5, 1.0], contype=TABLE, conaffinity=OBJECT)


def _add_camera(spec: mujoco.MjSpec, robot: RobotConfig, optical: Pose) -> None:
    """`optical`: the colour optical frame in the base frame."""
    # MuJoCo's camera looks along -z with y up; the optical frame along z with y down (REP 103).
    flip = np.diag([1.0, -1.0, -1.0])
    matrix = optical.rotation.as_matrix() @ flip
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, matrix.ravel())
    fovy = np.degrees(2 * np.arctan(robot.camera.height / 2 / robot.camera.fy))
    spec.worldbody.add_camera(name="camera", pos=optical.position, quat=quat, fovy=fovy)


def robot_spec(robot: RobotConfig, hand: HandConfig, cell: Cell, light: Light) -> mujoco.MjSpec:
    """Arm, hand, table, lights and camera, without objects. The world frame is the robot's base frame."""
    spec = _from_urdf(robot.urdf)
    _prepare_arm(spec, robot, parse(RobotSim, robot.sim, f"robot '{robot.name}', sim"))
    hand_spec = _from_urdf(hand.urdf, hand.urdf_source)
    _prepare_hand(hand_spec, hand, parse(HandSim, hand.sim, f"hand '{hand.name}', sim"))
    mount = robot.hand_mount.pose() @ _base_in_root(hand_spec, hand.base_link).inverse()
    quat = np.roll(mount.rotation.as_quat(), 1)  # xyzw -> wxyz
    site = spec.body(robot.flange_link).add_site(name="hand_mount", pos=mount.position, quat=quat)
    spec.attach(hand_spec, prefix=HAND_PREFIX, site=site)
    _add_surroundings(spec, robot, light)
    _add_camera(spec, robot, cell.camera)
    option = spec.option
    option.timestep = TIMESTEP
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10.0
    option.iterations = 30
    option.enableflags |= int(mujoco.mjtEnableBit.mjENBL_SLEEP)  # what lies still costs nothing
    return spec
