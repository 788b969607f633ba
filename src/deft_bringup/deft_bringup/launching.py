"""What the launch files share. Only they import it: it needs the packages launch and launch_ros, which come with ROS 2."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchContext
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    RegisterEventHandler,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from deft_bringup.processes import APT, Choice, NodeProcess, checked, node_processes
from deft_core.config import default_config_dir, find, load
from deft_core.descriptions import HandConfig, RobotConfig
from deft_core.errors import ConfigError
from deft_core.hardware import DriverConfig

TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
EXIT_GRACE = 10.0  # s that a process gets to end by itself before it is killed
NO_CAMERA = "no camera is started"


class LaunchError(RuntimeError):
    """An argument that cannot be used, or a package that is missing; nothing was started."""


def described(name: str, default: str, description: str) -> DeclareLaunchArgument:
    """An argument as `ros2 launch ... --show-args` lists it."""
    return DeclareLaunchArgument(name, default_value=default, description=description)


def graph_arguments() -> list[DeclareLaunchArgument]:
    """Of every launch file that starts the graph."""
    return [
        described("task", "pick_cup", "name of a file in config/tasks"),
        described("robot", "", "name of a file in config/robots; empty: what the parameter file says"),
        described("hand", "", "name of a file in config/hands; empty: what the parameter file says"),
        described("sim", "false", "start the simulated robot, camera included, in place of a real one"),
        described("drivers", "false", "also start the robot's drivers (robot.launch.py)"),
        described("robot_ip", "", "of the arm, for its driver"),
        described("composed", "false", "all Python nodes in one process"),
        described("namespace", "", "of all nodes, as /lab"),
        described("prior", "", "learned or heuristic; empty: what the parameter file says"),
        described("planner", "", "of the arm: ompl, move_group or moveit_py; empty: what the parameter file says"),
        described("require_approval", "false", "every grasp waits for a person's approval"),
        described("operator", "hands", "of the simulated robot: scripted scores and resets, hands only resets; or none"),
        described("fault", "", "of the simulated robot: a fault to rehearse, docs/reliability.md"),
        described("seed", "0", "of samples, objects and planners"),
        described("real_time_factor", "0.0", "of the simulated robot: simulated s per wall s; 0 = as fast as possible"),
        described("params_file", "", "node parameters in place of config/finetune.yaml"),
        described("respawn", "false", "start a node again when its process dies"),
        described("log_level", "info", "debug, info, warn, error or fatal"),
        described("use_sim_time", "false", "nodes take their time from /clock"),
    ]


class Arguments:
    """The values of a launch file's arguments, read as what they are. Raises LaunchError for what they are not."""

    def __init__(self, context: LaunchContext) -> None:
        self._context = context

    def text(self, name: str) -> str:
        """As it was given."""
        return str(LaunchConfiguration(name).perform(self._context)).strip()

    def flag(self, name: str) -> bool:
        """true or false."""
        value = self.text(name).lower()
        if value not in TRUE + FALSE:
            raise LaunchError(f"{name}:={value} is neither true nor false")
        return value in TRUE

    def number(self, name: str, kind: Callable[[str], Any] = int) -> Any:
        """A number that is not negative."""
        try:
            value = kind(self.text(name))
        except ValueError:
            raise LaunchError(f"{name}:={self.text(name)} is not a number") from None
        if value < 0:
            raise LaunchError(f"{name}:={value} is negative")
        return value

    def file(self, name: str) -> Path | None:
        """An existing file, None where none is given."""
        path = Path(self.text(name)).expanduser() if self.text(name) else None
        if path is not None and not path.is_file():
            raise LaunchError(f"{name}:={path}: there is no such file")
        return path

    def choice(self) -> Choice:
        """What the arguments of `graph_arguments` choose; all names exist."""
        choice = Choice(
            task=self.text("task"), robot=self.text("robot"), hand=self.text("hand"), sim=self.flag("sim"),
            prior=self.text("prior"), planner=self.text("planner"), seed=self.number("seed"), operator=self.text("operator"),
            real_time_factor=self.number("real_time_factor", float), require_approval=self.flag("require_approval"),
            fault=self.text("fault"), params_file=self.file("params_file"), namespace=self.text("namespace"),
            log_level=self.text("log_level"), use_sim_time=self.flag("use_sim_time"))
        try:
            return checked(choice)
        except ConfigError as error:
            raise LaunchError(str(error)) from None


# -- the graph -----------------------------------------------------------------------------------------


def start_graph(context: LaunchContext, client: str) -> list[Action]:
    """All nodes, and the client (finetune or rollout) whose end ends the launch. Nothing is started for wrong arguments."""
    arguments = Arguments(context)
    choice = arguments.choice()
    actions: list[Action] = []
    if arguments.flag("drivers"):
        if choice.sim:
            raise LaunchError("sim:=true takes the place of the drivers; say only one of sim and drivers")
        if not choice.robot or not choice.hand:
            raise LaunchError("say robot:=NAME and hand:=NAME, so that drivers and nodes mean the same")
        actions += _drivers(choice.robot, choice.hand, arguments.text("robot_ip"), fake=False, camera=True, serial="",
                            planner=True, space=choice.namespace, parameters=choice.parameter_file)
    if arguments.flag("composed"):
        if choice.use_sim_time or choice.log_level != "info" or arguments.flag("respawn"):
            raise LaunchError("use_sim_time, log_level and respawn are of processes of their own: leave them out, or composed")
        actions.append(_composed(choice))
    else:
        actions += [_node(node, choice, arguments.flag("respawn")) for node in node_processes(choice)]
    command = _finetune(arguments, choice) if client == "finetune" else _rollout(arguments, choice)
    if command:
        process = ExecuteProcess(cmd=[_deft(), *_space(choice), *command], name=client, output="screen",
                                 sigterm_timeout=str(EXIT_GRACE))
        actions += [process, RegisterEventHandler(OnProcessExit(target_action=process, on_exit=_ended))]
    return actions


def _ended(event: ProcessExited, _: LaunchContext) -> list[Action]:
    """The client's end is the launch's; one that failed fails the launch, whose own exit status is 1 then."""
    if event.returncode not in (0, 130):  # 130: interrupted, and the session can be gone on with
        raise RuntimeError(f"{event.process_name} has failed with exit status {event.returncode}; its last lines say why")
    return [Shutdown(reason=f"{event.process_name} has ended")]


def _node(node: NodeProcess, choice: Choice, respawn: bool) -> Node:
    return Node(package=node.package, executable=node.executable, output="screen", emulate_tty=True, respawn=respawn,
                respawn_delay=1.0, sigterm_timeout=str(EXIT_GRACE), ros_arguments=node.arguments(choice)[1:])


def _composed(choice: Choice) -> ExecuteProcess:
    """All nodes in one process; when it dies there is nothing left to run."""
    options = ["--task", choice.task, "--seed", str(choice.seed), "--operator", choice.operator]
    options += ["--sim", "--real-time-factor", str(choice.real_time_factor)] if choice.sim else []
    for name in ("robot", "hand", "prior", "planner", "fault"):
        options += [f"--{name}", getattr(choice, name)] if getattr(choice, name) else []
    options += ["--require-approval"] if choice.require_approval else []
    options += ["--params-file", str(choice.params_file)] if choice.params_file else []
    return ExecuteProcess(cmd=[_deft(), *_space(choice), "graph", *options], name="graph", output="screen", emulate_tty=True,
                          sigterm_timeout=str(EXIT_GRACE), on_exit=Shutdown(reason="the graph has ended"))


def _deft() -> str:
    """The command, which is in the package's bin folder and in the path of a workspace that is sourced."""
    found = shutil.which("deft")
    if found is None:
        raise LaunchError("the command `deft` is not in the path; source the workspace: `. install/setup.bash`")
    return found


def _space(choice: Choice) -> list[str]:
    return ["--namespace", choice.namespace] if choice.namespace else []


def _finetune(arguments: Arguments, choice: Choice) -> list[str]:
    episodes, session = arguments.number("episodes"), arguments.text("session")
    if not episodes:
        return []
    return ["finetune", choice.task, "--episodes", str(episodes), "--seed", str(choice.seed), "--objects", _objects(arguments),
            *(["--session", session] if session else [])]


def _rollout(arguments: Arguments, choice: Choice) -> list[str]:
    session, policy = arguments.text("session"), arguments.file("policy")
    if not session and not policy:
        raise LaunchError("say session:=FOLDER (a finished fine-tuning session) or policy:=policy.yaml")
    if session and not Path(session).expanduser().is_dir():
        raise LaunchError(f"session:={session}: there is no such folder")
    return ["rollout", choice.task, "--trials", str(arguments.number("trials")), "--seed", str(choice.seed), "--objects",
            _objects(arguments), *(["--policy", str(policy)] if policy else ["--session", session])]


def _objects(arguments: Arguments) -> str:
    objects = arguments.text("objects")
    if objects not in ("train", "test"):
        raise LaunchError(f"objects:={objects}; valid: train, test")
    return objects


def fit_policy(context: LaunchContext) -> list[Action]:
    """`deft fit` with a launch file's arguments."""
    arguments = Arguments(context)
    bag, session = arguments.text("bag"), arguments.text("session")
    if bool(bag) == bool(session):
        raise LaunchError("say either bag:=FOLDER or session:=FOLDER")
    command = ["fit", *(["--bag", bag] if bag else ["--session", session]), "--seed", str(arguments.number("seed"))]
    for name in ("policy", "out"):
        command += [f"--{name}", arguments.text(name)] if arguments.text(name) else []
    process = ExecuteProcess(cmd=[_deft(), *command], name="fit", output="screen", emulate_tty=True)
    return [process, RegisterEventHandler(OnProcessExit(target_action=process, on_exit=_ended))]


# -- drivers -------------------------------------------------------------------------------------------


def start_drivers(context: LaunchContext) -> list[Action]:
    """The drivers of a robot that the arguments of robot.launch.py name."""
    arguments = Arguments(context)
    return _drivers(arguments.text("robot"), arguments.text("hand"), arguments.text("robot_ip"), arguments.flag("fake"),
                    arguments.flag("camera"), arguments.text("serial_no"), arguments.flag("planner"),
                    arguments.text("namespace"), default_config_dir() / "finetune.yaml")


def _drivers(robot_name: str, hand_name: str, robot_ip: str, fake: bool, camera: bool, serial: str,
             planner: bool, space: str, parameters: Path) -> list[Action]:
    folder = default_config_dir()
    try:
        robot = load(RobotConfig, find(folder, "robots", robot_name))
        hand = load(HandConfig, find(folder, "hands", hand_name))
    except ConfigError as error:
        raise LaunchError(str(error)) from None
    if robot.driver is None:
        raise LaunchError(f"config/robots/{robot_name}.yaml names no driver; is it the simulated one? Then say sim:=true")
    if robot.driver.needs_address and not fake and not robot_ip:
        raise LaunchError("say robot_ip:=A.B.C.D, the arm's address, or fake:=true")
    wanted = [robot.driver, *([hand.driver] if hand.driver else [])]
    require_packages([d.package for d in wanted] + (["realsense2_camera"] if camera else []),
                     {d.package: d.install for d in wanted})
    address = {"robot_ip": robot_ip} if robot_ip and not fake else {}
    actions: list[Action] = [_include(robot.driver, fake, {"planner": str(planner).lower(), **address})]
    actions += _between(robot, hand, {"robot": robot_name, "hand": hand_name}, fake, space, parameters)
    actions.append(_include(hand.driver, fake, {}) if hand.driver else
                   LogInfo(msg=f"config/hands/{hand_name}.yaml names no driver: start the hand's own"))
    actions.append(_camera(robot, serial) if camera else LogInfo(msg=NO_CAMERA))
    return actions


def _between(robot: RobotConfig, hand: HandConfig, chosen: dict[str, str], fake: bool, space: str,
             parameters: Path) -> list[Node]:
    """The nodes of deft_drivers that this robot and hand need."""
    wanted = [*([("deft_hand", "hand_node")] if hand.interface else []),
              *([("deft_xarm", "xarm_node")] if robot.watch == "xarm" and not fake else [])]  # fake arms say nothing of faults
    return [Node(package="deft_drivers", executable=executable, name=name, namespace=space, output="screen", respawn=True,
                 respawn_delay=1.0, parameters=[str(parameters), chosen]) for name, executable in wanted]


def require_packages(packages: list[str], install: dict[str, str]) -> None:
    """Raises LaunchError that names what to install."""
    missing = []
    for package in packages:
        try:
            get_package_share_directory(package)
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        ways = [f"`sudo apt install {APT[p]}`" if p in APT else install.get(p, "see docs/on-your-robot.md") for p in missing]
        raise LaunchError(f"missing ROS packages: {', '.join(missing)}. Install: {'; '.join(dict.fromkeys(ways))}")


def _include(driver: DriverConfig, fake: bool, more: dict[str, str]) -> Action:
    given = {**driver.arguments, **(driver.fake_arguments if fake else driver.real_arguments), **more}
    file = Path(get_package_share_directory(driver.package)) / "launch" / (driver.fake_launch or driver.launch if fake
                                                                           else driver.launch)
    included = IncludeLaunchDescription(AnyLaunchDescriptionSource(str(file)), launch_arguments=list(given.items()))
    return GroupAction([included])  # its arguments are its own: two drivers may both have one that is called `hand` or `fake`


def _camera(robot: RobotConfig, serial: str) -> Action:
    """realsense2_camera with colour and depth of one stamp, aligned, by the names that the robot's YAML gives the camera."""
    parts = robot.camera.namespace.strip("/").split("/")
    if len(parts) < 2:
        raise LaunchError(f"camera.namespace '{robot.camera.namespace}' needs two parts, the driver's camera_namespace and "
                          "camera_name, as /camera/camera")
    space, name = parts[-2:]
    profile = f"{robot.camera.width}x{robot.camera.height}x30"
    given = {"camera_namespace": space, "camera_name": name, "align_depth.enable": "true", "enable_sync": "true",
             "rgb_camera.color_profile": profile, "depth_module.depth_profile": profile,
             **({"serial_no": f"_{serial}"} if serial else {})}  # the driver takes bare digits for a number
    file = Path(get_package_share_directory("realsense2_camera")) / "launch" / "rs_launch.py"
    return IncludeLaunchDescription(AnyLaunchDescriptionSource(str(file)), launch_arguments=list(given.items()))
