"""The simulated robot without ROS: the same cores as the graph, in one thread, for tests and studies."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from deft_affordance.predictor import AffordancePredictor, ObjectView, contact_in_space
from deft_affordance.priors import make_predictor
from deft_core.config import default_config_dir, find, load, parse
from deft_core.descriptions import HandConfig, RobotConfig, TaskConfig, load_task
from deft_core.projection import metres
from deft_core.streaming import START_DELAY, as_sent
from deft_core.types import GraspParameters
from deft_core.vision import Picture
from deft_motion.executor import Execution, GraspExecutor
from deft_motion.gate import RobotState, SafetyGate
from deft_motion.grasp_plan import GraspGoal, GraspPlanner
from deft_motion.kinematics import ArmHandModel
from deft_motion.paths import JointPath
from deft_motion.planner import OmplPlanner
from deft_perception.look import LookConfig
from deft_perception.nouns import NounMatcher
from deft_perception.observation import Frame, Observation, Observer
from deft_perception.tabletop import TabletopConfig, TabletopSegmenter
from deft_retarget.retargeter import Retargeter
from deft_retarget.wrist import grasp_rotation
from deft_sim.camera import SimCamera
from deft_sim.controller import JointTrajectory
from deft_sim.history import Verdict
from deft_sim.oracle import true_box
from deft_sim.world import SimWorld


class SimPort:
    """Commands go straight into the world; time passes when somebody waits for it."""

    def __init__(self, world: SimWorld, gate: SafetyGate) -> None:
        self.world, self.gate = world, gate

    def state(self) -> RobotState:
        """See RobotPort."""
        q, _ = self.world.joint_state()
        n = len(self.world.robot.joint_names)
        return RobotState(self.world.clock, q[:n], q[n:], 0.0)

    def send(self, arm: JointPath | None, hand: JointPath | None) -> float:
        """See RobotPort. Passes the gate."""
        self.gate.check(arm, hand, self.state())
        start = round(self.world.clock + START_DELAY, 6)
        for path, names, command in ((arm, self.world.robot.joint_names, self.world.command_arm),
                                     (hand, self.world.hand.joint_names, self.world.command_hand)):
            if path is not None:
                command(JointTrajectory(names, as_sent(path.times), path.positions, path.velocities, start))
        return start

    def next_state(self, after: float, timeout: float) -> RobotState:
        """See RobotPort."""
        while self.world.clock <= after:
            self.world.tick()
        return self.state()

    def hold(self) -> None:
        """See RobotPort."""
        self.world.hold()


@lru_cache(maxsize=2)
def _predictor(prior: str) -> AffordancePredictor:
    """One of each for all robots of this process: the learned one takes a while to load."""
    return make_predictor(prior)


class SimRobot:
    """World, perception, prior, retargeting and motion.

    Attributes:
        crop: (h, w, 3) RGB of the object, of the last look.
    """

    def __init__(self, robot: RobotConfig, hand: HandConfig, task: TaskConfig, seed: int, prior: str = "learned") -> None:
        self.robot, self.hand, self.task, self._prior = robot, hand, task, prior
        self.world = SimWorld(robot, hand, task, seed)
        model = ArmHandModel(robot, hand)
        self.gate = SafetyGate(robot, hand, ArmHandModel(robot, hand))
        self.port = SimPort(self.world, self.gate)
        self.planner = GraspPlanner(robot, hand, model, self.gate)
        self.executor = GraspExecutor(robot, hand, model, OmplPlanner(model), self.planner, self.port)
        self.retargeter = Retargeter(hand)
        self.crop: Picture | None = None
        self._frame: Frame | None = None
        self.observer = Observer(robot, TabletopSegmenter(TabletopConfig()), NounMatcher(default_config_dir() / "perception"))

    @cached_property
    def predictor(self) -> AffordancePredictor:
        """The prior, loaded when it is first asked for."""
        return _predictor(self._prior)

    def look(self) -> tuple[Observation, GraspParameters]:
        """Render, segment, predict, retarget: the observation and the prior xi. Raises DeftError."""
        seen = self.observe()
        return seen, self.predict(seen)

    def observe(self) -> Observation:
        """Render and segment, as deft_perception does. Raises DeftError."""
        rgb, depth = self.photograph()
        self._frame = Frame(rgb, metres(depth), self.robot.camera.intrinsics())
        look = parse(LookConfig, self.task.look, f"task '{self.task.name}', look")
        seen = self.observer.observe(self._frame, look.prompt(), look)
        u, v, width, height = seen.roi
        self.crop = rgb[v:v + height, u:u + width].copy()
        return seen

    def remember(self) -> Callable[[], None]:
        """What makes the last look count again, for a scene that is laid anew as it was."""
        kept = self._frame, self.crop

        def again() -> None:
            self._frame, self.crop = kept

        return again

    def photograph(self) -> tuple[Picture, Any]:
        """What the camera sees now: (h, w, 3) RGB and (h, w) depth, mm."""
        camera = SimCamera(self.world.model, self.robot.camera, self.world.realism)
        try:
            return camera.render(self.world.data, self.world.picture_seed)
        finally:
            camera.close()

    def predict(self, seen: Observation, seed: int = 0) -> GraspParameters:
        """The prior xi for what was seen last, as deft_affordance and deft_retarget make it. Raises DeftError."""
        assert self.crop is not None and self._frame is not None
        frame, pose = self._frame, self.robot.camera.optical_in_base.pose()
        view = ObjectView(self.crop, seen.roi, seen.mask, frame.intrinsics, pose, self.task.text)
        prior = self.predictor.predict(view, self.task.heuristic_wrist, np.random.default_rng(seed))
        contact = contact_in_space(prior, view, frame.depth).mean
        return GraspParameters(contact, grasp_rotation(prior.wrist_in_base).as_rotvec(), self.hand.joint_names,
                               self.retargeter.retarget(prior.mano_pose).joints, self.hand.name)

    def goal(self, seen: Observation, grasp: GraspParameters) -> GraspGoal:
        """What deft_motion is asked for."""
        return GraspGoal(grasp, self.task, seen.table_height, seen.box_centre, seen.extent,
                         seen.surroundings.astype(float))

    def goal_of_truth(self, grasp: GraspParameters) -> GraspGoal:
        """The same without a camera: the simulator says where the object is. For the oracle and for speed."""
        return GraspGoal(grasp, self.task, self.robot.table_height, *true_box(self.world))

    def execute(self, seen: Observation, grasp: GraspParameters, seed: int = 0) -> tuple[Execution, Verdict]:
        """Execute, park, and what the operator says of it. Raises DeftError."""
        return self.run(self.goal(seen, grasp), seed)

    def run(self, goal: GraspGoal, seed: int = 0,
            on_phase: Callable[[str, float], None] = lambda *_: None) -> tuple[Execution, Verdict]:
        """The same for a goal that is already made; `on_phase` as for GraspExecutor. Raises DeftError."""
        done = self.executor.execute(goal, seed, on_phase, lambda: False)
        return done, self.world.judge({name: (start, end) for name, start, end in done.phases})


def load_rig(task: str, hand: str = "allegro_right", robot: str = "xarm7_sim", seed: int = 0, config_dir: Path | None = None,
             prior: str = "learned") -> SimRobot:
    """A rig from names. Raises ConfigError."""
    folder = config_dir or default_config_dir()
    return SimRobot(load(RobotConfig, find(folder, "robots", robot)), load(HandConfig, find(folder, "hands", hand)),
                    load_task(folder, task), seed, prior)
