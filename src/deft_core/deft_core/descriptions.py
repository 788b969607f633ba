"""What hands, robots and tasks are: the parts of their YAML that more than one package reads.

Sections that only one package understands (`retarget`, `sim`) are carried along unread and are
validated by their owner.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from deft_core.calibration import read_hand_eye
from deft_core.config import Config, find, load, nearest, parse, read_yaml
from deft_core.errors import ConfigError
from deft_core.hardware import ArmInterface, DriverConfig, HandInterface, MoveItConfig, Touch
from deft_core.hardware import Positive as Positive  # for all who describe something, as before
from deft_core.types import Array, Intrinsics, Pose

Vector3 = tuple[float, float, float]
NonNegative = Annotated[float, Field(ge=0)]


class FrameConfig(Config):
    """A fixed frame: xyz in metres, rpy in radians (URDF convention), in its parent."""

    xyz: Vector3
    rpy: Vector3

    def pose(self) -> Pose:
        return Pose.from_xyz_rpy(self.xyz, self.rpy)


class TableJoint(Config):
    """One revolute joint of a kinematic table: what `<joint>` says in a URDF. Limits are the hand's."""

    parent: str = Field(description="parent link")
    child: str = Field(description="child link")
    xyz: Vector3 = Field(description="joint frame in the parent link, m")
    rpy: Vector3 = Field((0.0, 0.0, 0.0), description="joint frame in the parent link, rad")
    axis: Vector3 = Field(description="axis of rotation in the joint frame")

    @model_validator(mode="after")
    def _turns(self) -> TableJoint:
        if not any(self.axis):
            raise ValueError("the axis must not be zero")
        return self


class TableFrame(Config):
    """A point fixed to a link, such as a fingertip."""

    parent: str
    xyz: Vector3 = Field(description="in the parent link, m")


class KinematicTable(Config):
    """Joint axes of a hand whose URDF does not come with DEFT; used where that URDF is not there."""

    source: str = Field(description="where the numbers come from")
    joints: dict[str, TableJoint]
    frames: dict[str, TableFrame]

    @model_validator(mode="after")
    def _tree(self) -> KinematicTable:
        rows: list[TableJoint | TableFrame] = [*self.joints.values(), *self.frames.values()]
        children = [*(row.child for row in self.joints.values()), *self.frames]
        for child in children:
            if children.count(child) > 1:
                raise ValueError(f"the link '{child}' hangs from two joints")
        roots = sorted({row.parent for row in rows} - set(children))
        if len(roots) != 1:
            raise ValueError(f"the links hang from {roots or 'no root'}: exactly one link must be no joint's child; is a "
                             "parent misspelt?")
        parent = dict(zip(children, (row.parent for row in rows), strict=True))
        for link in children:
            above = [link]
            while above[-1] in parent:
                above.append(parent[above[-1]])
                if above[-1] == link:
                    raise ValueError(f"the links {sorted(set(above))} hang from each other in a circle")
                if len(above) > len(children) + 1:
                    break  # a circle further up, which its own links report
        return self


class Coupling(Config):
    """A joint without a motor of its own: its angle is ratio * that of another one."""

    joint: str = Field(description="the joint that it follows")
    ratio: float = Field(1.0, description="rad per rad")

    @model_validator(mode="after")
    def _moves(self) -> Coupling:
        if self.ratio == 0.0:
            raise ValueError("a ratio of 0 is a fixed joint: leave it out of joint_names")
        return self


class HandConfig(Config):
    """A robot hand (`hands/*.yaml`)."""

    name: str
    side: Literal["right", "left"] = "right"
    urdf: str = Field(description="path of the URDF; {example_robot_data} stands for that package's folder")
    urdf_source: str = Field("", description="where to get the URDF, if it does not come with DEFT")
    kinematics: KinematicTable | None = Field(None,
                                              description="joint axes to do without the URDF where only kinematics matter")
    base_link: str = Field(description="the hand's base: a link of the URDF that its joints do not move; hand_mount is of it")
    joint_names: tuple[str, ...] = Field(description="joints, URDF names, in command order")
    coupled: dict[str, Coupling] = Field(default_factory=dict, description="joints that share another one's motor")
    lower: tuple[float, ...] = Field(description="lower joint limits, rad")
    upper: tuple[float, ...] = Field(description="upper joint limits, rad")
    velocity_limit: Positive = Field(description="rad/s, for every joint")
    grasp_frame: FrameConfig = Field(description="grasp frame (x to the fingers, z out of the palm) in base_link")
    grasp_centre: Vector3 = Field(description="point between palm and fingers that goes to the contact, grasp frame, m")
    open_pose: tuple[float, ...] = Field(description="rad, hand open enough to approach an object")
    squeeze: tuple[float, ...] = Field(description="rad added to every joint after closing, to build up force")
    touch: Touch | None = Field(None, description="close on from the grasp's joints until they touch; none: no further")
    thumb: tuple[str, ...] = Field((), description="joints of the thumb, which opposes the others when the hand closes")
    driver: DriverConfig | None = Field(None, description="none: it is started by hand")
    interface: HandInterface | None = Field(None, description="of a driver that takes no JointTrajectory; none: it does")
    retarget: dict[str, Any] = Field(description="read by deft_retarget")
    sim: dict[str, Any] = Field(description="read by deft_sim")

    @model_validator(mode="after")
    def _consistent(self) -> HandConfig:
        n = len(self.joint_names)
        if self.kinematics and (missing := set(self.joint_names) - set(self.kinematics.joints)):
            raise ValueError(f"kinematics.joints has no row for {sorted(missing)}")
        for key in ("lower", "upper", "open_pose", "squeeze"):
            if len(getattr(self, key)) != n:
                raise ValueError(f"{key} has {len(getattr(self, key))} numbers, joint_names has {n}")
        if len(set(self.joint_names)) != n:
            raise ValueError("joint_names has duplicates")
        for joint in self.thumb:
            if joint not in self.joint_names:
                raise ValueError(f"thumb names the joint '{joint}': {nearest(joint, self.joint_names)}")
        for name, lo, q, hi in zip(self.joint_names, self.lower, self.open_pose, self.upper, strict=True):
            if not lo <= q <= hi:
                raise ValueError(f"open_pose of {name} is {q}, outside [{lo}, {hi}]")
        for name, coupling in self.coupled.items():
            for joint in (name, coupling.joint):
                if joint not in self.joint_names:
                    raise ValueError(f"coupled names the joint '{joint}': {nearest(joint, self.joint_names)}")
            if coupling.joint in self.coupled:
                raise ValueError(f"'{name}' follows '{coupling.joint}', which follows another joint itself")
        if self.touch and self.interface is not None and self.interface.state.source == "none":
            raise ValueError("touch needs measured joints, and interface.state.source is none: set touch: null")
        if self.interface is not None:
            self.interface.in_driver_order(self.joint_names)
            for key in ("offset", "scale"):
                self.interface.spread(getattr(self.interface, key), n, key)
            if len(self.interface.driver_names) not in (0, n):
                raise ValueError(f"interface.driver_names has {len(self.interface.driver_names)} names, joint_names has {n}")
        lower, upper = self.motor_limits()
        for name, lo, hi in zip(self.motors, lower, upper, strict=True):
            if lo > hi:
                raise ValueError(f"the limits of '{name}' and of the joints coupled to it exclude each other")
        for name, q, followed in zip(self.joint_names, self.open_pose, self.followed(np.array(self.open_pose)), strict=True):
            if abs(q - followed) > 1e-6:
                raise ValueError(f"open_pose of {name} is {q}; coupled to {self.coupled[name].joint} it is {followed:g}")
        return self

    def followed(self, joints: Array) -> Array:
        """Joints (n,), rad, within the limits, with the coupled ones where their motors take them."""
        source, ratio = self.coupling()
        motors = np.clip(joints[[self.joint_names.index(name) for name in self.motors]], *self.motor_limits())
        # A ratio of 1/3 may leave the last bit of a joint outside its limit.
        return np.asarray(np.clip(ratio * motors[source], self.lower, self.upper))

    def coupling(self) -> tuple[NDArray[np.int64], Array]:
        """Which motor moves each joint (n,), and how many rad of the joint one rad of it makes (n,)."""
        index = {name: i for i, name in enumerate(self.motors)}
        source = [index[self.coupled[name].joint if name in self.coupled else name] for name in self.joint_names]
        ratio = [self.coupled[name].ratio if name in self.coupled else 1.0 for name in self.joint_names]
        return np.array(source), np.array(ratio)

    def motor_limits(self) -> tuple[Array, Array]:
        """Lower and upper limits (m,), rad, of the motors: all joints that they move are then within theirs."""
        source, ratio = self.coupling()
        ends = np.stack([np.array(self.lower), np.array(self.upper)]) / ratio
        lower, upper = np.full(len(self.motors), -np.inf), np.full(len(self.motors), np.inf)
        np.maximum.at(lower, source, ends.min(axis=0))
        np.minimum.at(upper, source, ends.max(axis=0))
        return lower, upper

    def closing(self) -> tuple[Array, Array]:
        """How fingers, and how the thumb, close: (n,) each, in the proportions of `squeeze`, what moves most by 1;
        zeros where nothing of them closes."""
        squeeze, thumb = np.array(self.squeeze), np.array([name in self.thumb for name in self.joint_names])
        fingers, opposing = (part / (np.abs(part).max() or 1.0) for part in (squeeze * ~thumb, squeeze * thumb))
        return fingers, opposing

    @property
    def motors(self) -> tuple[str, ...]:
        """The joints that move on their own; the others are coupled to them."""
        return tuple(name for name in self.joint_names if name not in self.coupled)


class CameraConfig(Config):
    """The RGB-D camera: its topics and its calibrated place in the base frame."""

    namespace: str = "/camera/camera"
    frame: str = "camera_color_optical_frame"
    optical_in_base: FrameConfig = Field(description="calibration: colour optical frame in the robot's base frame")
    calibration_file: str = Field("", description="a file of easy_handeye2 that optical_in_base is taken from")
    optical_in_calibrated: FrameConfig | None = Field(
        None, description="colour optical frame in the frame that was calibrated, where that is another one (camera_link)")
    tf: bool = Field(False, description="the camera's pose is looked up in tf2, for the stamp of each picture")
    tf_tolerance: NonNegative = Field(0.1, description="s that transforms may be older than a picture; older ones refuse it")
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    fx: Positive
    fy: Positive
    cx: float
    cy: float
    transport: Literal["raw", "compressed"] = Field(default="raw", description="compressed: image_transport's compressed and "
                                                    "compressedDepth topics, where the network is slow")
    reliability: Literal["reliable", "best_effort"] = Field(
        default="best_effort", description="how images are received; best_effort matches every driver; reliable loses fewer of "
        "them on a bad network and needs a driver that publishes reliably")
    frozen_frames: int = Field(default=15, ge=0, description="as many equal depth images in a row mean that the camera "
                               "hangs; 0 = never")

    @model_validator(mode="after")
    def _several_frames(self) -> CameraConfig:
        if self.frozen_frames == 1:
            raise ValueError("frozen_frames counts equal images: 2 or more, or 0 for never")
        return self

    def intrinsics(self) -> Intrinsics:
        return Intrinsics(self.width, self.height, self.fx, self.fy, self.cx, self.cy)


class BoxConfig(Config):
    """A box in the base frame, metres."""

    lower: Vector3
    upper: Vector3


class RobotConfig(Config):
    """An arm, its camera and how the hand is mounted (`robots/*.yaml`)."""

    name: str
    urdf: str
    base_frame: str = "base_link"
    flange_link: str = Field(description="link that carries the hand")
    joint_names: tuple[str, ...]
    velocity_limits: tuple[Positive, ...] = Field(description="rad/s, what we allow, not what the arm can do")
    acceleration_limits: tuple[Positive, ...] = Field(description="rad/s^2")
    park: tuple[float, ...] = Field(description="rad, out of the camera's view of the table")
    ready: tuple[float, ...] = Field(description="rad, nominal posture that inverse kinematics pulls to")
    ik_starts: tuple[tuple[float, ...], ...] = Field((), description="rad, postures that inverse kinematics starts from, "
                                                     "before random ones; `ready` where none is given")
    hand_mount: FrameConfig = Field(description="hand base_link in flange_link")
    arm_command_topic: str
    hand_command_topic: str
    joint_states_topic: str = "/joint_states"
    workspace: BoxConfig = Field(description="where the hand's grasp frame may be")
    object_region: BoxConfig = Field(description="where objects may stand; what is seen elsewhere is not an object")
    table_height: float = Field(description="z of the table's top in the base frame, m")
    camera: CameraConfig
    driver: DriverConfig | None = Field(None, description="of the arm; none: the simulated one")
    watch: Literal["", "xarm"] = Field("", description="which node of deft_drivers watches the arm for faults and recovers it")
    arm_interface: ArmInterface = ArmInterface(type="topic", action="")
    moveit: MoveItConfig | None = Field(None, description="none: only the embedded planner")
    sim: dict[str, Any] = Field(default_factory=dict, description="read by deft_sim")

    @model_validator(mode="before")
    @classmethod
    def _calibrated(cls, data: Any) -> Any:
        """Take the camera's pose from its calibration file."""
        camera = data.get("camera") if isinstance(data, dict) else None
        if not isinstance(camera, dict) or not isinstance(file := camera.get("calibration_file"), str) or not file:
            return data
        base = str(data.get("base_frame", cls.model_fields["base_frame"].default))
        return data | {"camera": camera | {"optical_in_base": _calibrated(camera, Path(file).expanduser(), base)}}

    @model_validator(mode="after")
    def _consistent(self) -> RobotConfig:
        n = len(self.joint_names)
        for key in ("velocity_limits", "acceleration_limits", "park", "ready"):
            if len(getattr(self, key)) != n:
                raise ValueError(f"{key} has {len(getattr(self, key))} numbers, joint_names has {n}")
        if any(len(start) != n for start in self.ik_starts):
            raise ValueError(f"every one of ik_starts needs {n} numbers")
        return self


def _calibrated(camera: dict[str, Any], path: Path, base_frame: str) -> dict[str, list[float]]:
    """The colour optical frame in the base frame, as a FrameConfig's keys. Raises ConfigError."""
    found = read_hand_eye(path)
    if found.base_frame != base_frame:
        raise ConfigError(f"camera.calibration_file {path} is in the frame '{found.base_frame}', the robot's base_frame is "
                          f"'{base_frame}': calibrate with robot_base_frame:={base_frame}")
    optical = str(camera.get("frame", CameraConfig.model_fields["frame"].default))
    pose, offset = found.pose, camera.get("optical_in_calibrated")
    if found.camera_frame != optical:
        if offset is None:
            raise ConfigError(f"camera.calibration_file {path} is of the frame '{found.camera_frame}', the camera's frame is "
                              f"'{optical}': say camera.optical_in_calibrated (`ros2 run tf2_ros tf2_echo {found.camera_frame} "
                              f"{optical}` prints it)")
        pose = pose @ parse(FrameConfig, offset, "camera.optical_in_calibrated").pose()
    return {"xyz": pose.position.tolist(), "rpy": pose.rotation.as_euler("xyz").tolist()}


class Waypoint(Config):
    """One pose of the post-grasp trajectory, relative to the executed grasp pose.

    `xyz` is along the base frame's axes from the grasp position; `rotvec` turns the hand about the
    grasp centre, as a rotation vector in base-frame axes.
    """

    t: NonNegative = Field(description="seconds after the hand has closed")
    xyz: Vector3 = (0.0, 0.0, 0.0)
    rotvec: Vector3 = (0.0, 0.0, 0.0)


def _increasing(trajectory: tuple[Waypoint, ...]) -> tuple[Waypoint, ...]:
    times = [w.t for w in trajectory]
    if len(times) < 2 or times[0] != 0.0 or any(b <= a for a, b in itertools.pairwise(times)):
        raise ValueError("trajectory needs at least two waypoints, t = 0 first, then strictly increasing")
    return trajectory


Trajectory = Annotated[tuple[Waypoint, ...], AfterValidator(_increasing)]


class Demonstration(Config):
    """What one person showed of a task (`demonstrations/*.yaml`)."""

    source: str = Field(description="where it comes from")
    trajectory: Trajectory = Field(description="wrist poses relative to the grasp, from the closing of the hand on")
    final_image: str = Field(description="picture of the end, a file beside this one")


class TaskConfig(Config):
    """A task (`tasks/*.yaml`)."""

    name: str
    phrasings: tuple[str, ...] = Field(min_length=1, description="ways to say it; the text encoder is given the first")
    demonstration: str = Field(description="name of a file in demonstrations/, which the next two come from")
    trajectory: Trajectory = Field(description="post-grasp trajectory tau (paper section 1.2)")
    goal_image: str = Field(description="last image of the demonstration, below the configuration folder")
    hold_seconds: NonNegative = 1.0
    release: Literal["place_back", "open"] = Field(
        description="place_back: run the trajectory backwards, then open; open: open where the trajectory ends")
    gentle: bool = Field(False, description="what is held tears or gives way: no hand closes until it touches here")
    heuristic_wrist: str = Field(description="named wrist orientation of the heuristic prior, or 'random'")
    operator_hint: str = Field(description="what the operator is told to look at when scoring")
    look: dict[str, Any] = Field(default_factory=dict, description="read by deft_perception")
    sim: dict[str, Any] = Field(default_factory=dict, description="read by deft_sim")

    @property
    def text(self) -> str:
        """What the text encoder is given."""
        return self.phrasings[0]


def load_task(config_dir: Path, name: str) -> TaskConfig:
    """A task with its demonstration.

    Raises:
        ConfigError: either file is missing or wrong.
    """
    path = find(config_dir, "tasks", name)
    data = read_yaml(path)
    for key in ("trajectory", "goal_image"):
        if key in data:
            raise ConfigError(f"{path}: {key} comes from the demonstration; change it in demonstrations/")
    if isinstance(data.get("demonstration"), str):
        shown_at = find(config_dir, "demonstrations", data["demonstration"])
        shown = load(Demonstration, shown_at)
        data |= {"trajectory": shown.trajectory, "goal_image": f"demonstrations/{shown.final_image}"}
    else:
        data |= {"trajectory": ({"t": 0.0}, {"t": 1.0}), "goal_image": ""}  # so that only what is wrong is reported
    return parse(TaskConfig, data, str(path))


def resolve_model(path: str, source: str = "") -> Path:
    """The file behind a URDF entry.

    Args:
        source: where to get it, for the message.

    Raises:
        ConfigError: the file or the package that it stands in is missing.
    """
    if "{example_robot_data}" in path:
        path = path.replace("{example_robot_data}", str(example_robot_data_root() / "example-robot-data"))
    resolved = Path(path).expanduser()
    if not resolved.is_file():
        where = f"get it from {source}" if source else "`pip install example-robot-data`"
        raise ConfigError(f"robot model '{resolved}' does not exist; {where}, or correct the path in the hand's or "
                          "robot's YAML")
    return resolved


def example_robot_data_root() -> Path:
    """The folder that `package://example-robot-data/` is relative to (its parent)."""
    import importlib.util

    spec = importlib.util.find_spec("cmeel_pth") or importlib.util.find_spec("numpy")
    assert spec and spec.origin
    for parent in Path(spec.origin).parents:
        root = parent / "cmeel.prefix" / "share"
        if (root / "example-robot-data").is_dir():
            return root
    raise ConfigError("the package example-robot-data is not installed: `pip install example-robot-data`")
