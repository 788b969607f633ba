"""The simulated robot cell: physics, controllers, collision stop, and what a person would see.

Physics runs only while something moves: from the start of a trajectory until SETTLE_SECONDS after
its end, and on until everything is at rest. In between the world sleeps; the clock goes on, nothing changes. With the commands
starting at their stamps, what happens is then a function of the commands alone, not of how fast
messages travel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np
from mujoco import rollout

from deft_core.config import nearest, parse
from deft_core.descriptions import HandConfig, RobotConfig, TaskConfig
from deft_core.errors import ConfigError
from deft_core.types import Array
from deft_sim.config import RobotSim, SceneConfig
from deft_sim.controller import JointTrajectory, TrajectoryController
from deft_sim.history import History, Verdict
from deft_sim.model import HAND_PREFIX, TIMESTEP, robot_spec
from deft_sim.objects.shapes import Spot
from deft_sim.realism import draw_cell, draw_light
from deft_sim.scenes import scene_module, things_by_name
from deft_sim.scoring import Watched
from deft_sim.watcher import Watcher

TICK_SECONDS = 0.02
FREE_TIMESTEP = 0.004  # s, physics step while the robot moves through free space
SETTLE_SECONDS = 0.2
SETTLE_LIMIT = 3.0    # s, at most this long after a trajectory
REST_SPEED = 0.05     # m/s and rad/s
LANDING_SECONDS = 0.24  # between two looks whether everything lies still
LANDING_ROUNDS = 8
PLACE_CLEARANCE = 0.001  # m, objects are put down from this high


class SimWorld:
    """One robot, one table, and what the task's scene puts on it.

    Args:
        robot, hand, task: descriptions with their `sim` sections.
        seed: with the episode index it decides objects, poses and light.
    """

    def __init__(self, robot: RobotConfig, hand: HandConfig, task: TaskConfig, seed: int) -> None:
        self.robot, self.hand = robot, hand
        self._settings = parse(RobotSim, robot.sim, f"robot '{robot.name}', sim")
        self.realism = self._settings.realism
        self._scene_config = parse(SceneConfig, task.sim, f"task '{task.name}', sim")
        self.scene = scene_module(self._scene_config.scene)
        self._score = parse(self.scene.Score, self._scene_config.score, f"task '{task.name}', sim.score")
        self._things = self._find_things(task.name)
        self._seed = seed
        self._cell = draw_cell(robot, hand, self.realism)
        self._grasp_frame = hand.grasp_frame.pose().matrix()  # in the hand's base link
        self._physics = rollout.Rollout(nthread=0)  # in the caller's thread
        self.clock = 1.0  # s, robot clock
        self._settle_left = 0.0
        self._steps = 0
        self.history = History()
        self._observers: list[Callable[[], None]] = []
        self.arm = TrajectoryController(robot.joint_names, np.array(robot.park))
        self.hand_controller = TrajectoryController(hand.joint_names, np.array(hand.open_pose))
        self._pending: list[tuple[TrajectoryController, JointTrajectory]] = []
        self.reset("train", 0)

    def reset(self, object_set: str, episode: int) -> None:
        """Take the old things away and put the episode's on the table. The robot stays where it is."""
        sets = self._things
        if object_set not in sets:
            raise ValueError(f"unknown object set '{object_set}'; valid: {', '.join(sets)}")
        self._draw = (self._seed, sorted(sets).index(object_set), episode)
        rng = np.random.default_rng(np.random.SeedSequence(self._draw))
        self.thing = sets[object_set][int(rng.integers(len(sets[object_set])))]
        spot = self._spot(rng)
        spec = robot_spec(self.robot, self.hand, self._cell, draw_light(self.realism, rng))
        self.scene.build(spec, self.thing, spot, rng)
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self._state = np.zeros(mujoco.mj_stateSize(self.model, mujoco.mjtState.mjSTATE_FULLPHYSICS))
        self._index_model()
        self._watcher = Watcher(self.model, self.hand, self._grasp_frame, self.robot.table_height)
        self._put_robot()
        self.history = History()
        mujoco.mj_forward(self.model, self.data)
        self._land()
        if self.history.diverged:
            raise RuntimeError(f"physics broke down as the things of episode {episode} ({object_set}) came to rest")
        self.history = History([self._watcher.moment(self.data, self.clock)])
        self._force_before = 0.0
        self._steps += 1

    def _find_things(self, task: str) -> dict[str, list[Any]]:
        """The task's objects by set. Raises ConfigError for a name that the scene does not have."""
        known = things_by_name(self.scene)
        for name in (name for names in self._scene_config.objects.values() for name in names):
            if name not in known:
                raise ConfigError(f"task '{task}', sim.objects: unknown object '{name}': {nearest(name, known)}")
        return {which: [known[name] for name in names] for which, names in self._scene_config.objects.items()}

    def judge(self, phases: dict[str, tuple[float, float]]) -> Verdict:
        """What an attentive person says of what happened during `phases` (start and end, s of robot clock, by name)."""
        return self.scene.judge(Watched(self.history, phases, self.hand), self._score)

    def push_back(self) -> None:
        """What a person does with a robot that got stuck: drop all trajectories, hand open, arm at its park pose."""
        self._pending.clear()
        self._settle_left = 0.0
        self.arm.hold(np.array(self.robot.park))
        self.hand_controller.hold(np.array(self.hand.open_pose))

    def _spot(self, rng: np.random.Generator) -> Spot:
        """Where the episode's object is put."""
        config = self._scene_config
        x, y = rng.uniform(config.position_lower, config.position_upper)
        return Spot(float(x), float(y), self.robot.table_height + PLACE_CLEARANCE, float(rng.uniform(*config.yaw)))

    def _land(self) -> None:
        """Let things come to rest before anybody looks."""
        for _ in range(LANDING_ROUNDS):
            self._advance(LANDING_SECONDS, TIMESTEP)
            if np.abs(self.data.qvel).max() < REST_SPEED:
                break
        self.data.qvel[:] = 0.0

    def _index_model(self) -> None:
        m = self.model
        names = [*self.robot.joint_names, *(HAND_PREFIX + n for n in self.hand.joint_names)]
        self.joint_names = (*self.robot.joint_names, *self.hand.joint_names)
        self._qpos = np.array([m.joint(n).qposadr[0] for n in names])
        self._qvel = np.array([m.joint(n).dofadr[0] for n in names])
        self._thing_dofs = np.setdiff1d(np.arange(m.nv), self._qvel)
        actuators = [m.actuator(n) for n in names]
        self._ctrl = np.array([a.id for a in actuators])
        # velocity feed-forward through the position servo: kp (q + kv/kp v - q) - kv v = kp (q_d - q) + kv (v_d - v)
        self._lead = np.array([-a.biasprm[2] / a.gainprm[0] for a in actuators])

    def _put_robot(self) -> None:
        """At rest, on the controllers' targets."""
        self.data.qpos[self._qpos] = np.concatenate([self.arm.target, self.hand_controller.target]) + self._cell.joint_error
        self.data.ctrl[self._ctrl] = self.data.qpos[self._qpos]

    # -- commands -----------------------------------------------------------------------------------

    def command_arm(self, trajectory: JointTrajectory) -> None:
        """Queue a trajectory for the arm's controller. Raises ValueError where it would be rejected."""
        self._command(self.arm, trajectory)

    def command_hand(self, trajectory: JointTrajectory) -> None:
        """Queue a trajectory for the hand's controller. Raises ValueError where it would be rejected."""
        self._command(self.hand_controller, trajectory)

    def _command(self, controller: TrajectoryController, trajectory: JointTrajectory) -> None:
        is_hold = len(trajectory.times) == 1 and trajectory.start <= self.clock
        if not is_hold:
            trajectory = replace(trajectory, start=round(trajectory.start + self.realism.command_latency, 9))
        probe = TrajectoryController(controller.names, controller.target)
        probe.accept(trajectory, self.clock)
        if is_hold:
            self._pending = [(c, t) for c, t in self._pending if c is not controller]
        if is_hold or not self._settling:
            controller.accept(trajectory, self.clock)
        else:  # the settling time is always run in full, so that its length does not depend on message timing
            self._pending.append((controller, trajectory))

    @property
    def _settling(self) -> bool:
        return self._settle_left > 0.0 and not self._moving

    @property
    def _moving(self) -> bool:
        return min(self.arm.start, self.hand_controller.start) <= self.clock + 1e-9

    @property
    def asleep(self) -> bool:
        """True when nothing moves and no trajectory has started."""
        return self._settle_left == 0.0 and not self._moving

    @property
    def idle(self) -> bool:
        """True when no trajectory runs and its settling time is over, though something may still roll."""
        return self._settle_left <= 0.0 and not self._moving

    @property
    def waits_to_start(self) -> bool:
        """True when no trajectory runs, and one that was sent has not started yet."""
        return self.clock + 1e-9 < min(self.arm.start, self.hand_controller.start) < np.inf

    @property
    def runs_out(self) -> float:
        """Robot clock, s, at which the first controller has done all that it was told of a motion that is to go on."""
        return min(self.arm.runs_out, self.hand_controller.runs_out)

    @property
    def version(self) -> int:
        """Changes whenever the world may look different."""
        return self._steps

    @property
    def picture_seed(self) -> int:
        """For the camera's noise: follows from the draw and from how long the world moved since."""
        return int(np.random.SeedSequence([*self._draw, len(self.history.moments) - 1]).generate_state(1)[0])

    # -- time -----------------------------------------------------------------------------------------

    @contextmanager
    def watched(self, observer: Callable[[], None]) -> Iterator[None]:
        """Call `observer` after every tick inside a `with` block: for films, viewers and studies."""
        self._observers.append(observer)
        try:
            yield
        finally:
            self._observers.remove(observer)

    def tick(self) -> None:
        """Advance the clock by 20 ms, or exactly to the start of the next trajectory when that is nearer."""
        self._pass_time()
        for observer in self._observers:
            observer()

    def _pass_time(self) -> None:
        if self.asleep:
            start = min(self.arm.start, self.hand_controller.start)
            if start > self.clock + TICK_SECONDS - 1e-9:
                self.clock += TICK_SECONDS
                return
            self.clock = max(self.clock, start)
        if self._moving:
            self._settle_left = SETTLE_SECONDS
        self._advance(TICK_SECONDS, FREE_TIMESTEP if self._robot_alone() else TIMESTEP)
        if not self._moving:
            self._settle()
        self._steps += 1
        self.history.moments.append(self._watcher.moment(self.data, self.clock))
        self._stop_on_collision()

    def _settle(self) -> None:
        """Count down to sleep; something that still rolls or swings is given SETTLE_LIMIT to come to rest."""
        self._settle_left = round(self._settle_left - TICK_SECONDS, 6)
        if self._settle_left > 0:
            return
        resting = float(np.abs(self.data.qvel).max()) < REST_SPEED
        if resting or self._settle_left <= SETTLE_SECONDS - SETTLE_LIMIT:
            self._settle_left = 0.0
            self.data.qvel[:] = 0.0
        for controller, trajectory in self._pending:
            controller.accept(trajectory, self.clock)
        self._pending.clear()

    def _advance(self, seconds: float, step: float) -> None:
        """Physics and clock, with the controllers' commands at every step (s).

        One call into MuJoCo for all steps: between single steps other Python threads would get in.
        """
        self.model.opt.timestep = step
        steps = round(seconds / step)
        times = np.asarray(self.clock + step * np.arange(steps), float)
        q_arm, v_arm = self.arm.sample(times)
        q_hand, v_hand = self.hand_controller.sample(times)
        control = np.zeros((1, steps, self.model.nu))
        control[0][:, self._ctrl] = (np.hstack([q_arm, q_hand]) + self._cell.joint_error
                                     + self._lead * np.hstack([v_arm, v_hand]))
        mujoco.mj_getState(self.model, self.data, self._state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        self._physics.rollout([self.model], [self.data], self._state[None], control, nstep=steps, skip_checks=True,
                              initial_warmstart=self.data.qacc_warmstart[None].copy())
        # MuJoCo starts anew from time 0 when a state is no longer finite.
        self.history.diverged |= abs(self.data.time - self._state[0] - seconds) > 1e-6
        self.data.ctrl[:] = control[0, -1]
        self._watcher.look(self.data)
        self.clock = round(self.clock + seconds, 6)

    def _robot_alone(self) -> bool:
        """Nothing but the robot moves, and it touches nothing."""
        still = not self._thing_dofs.size or float(np.abs(self.data.qvel[self._thing_dofs]).max()) < REST_SPEED / 10
        return still and not self._watcher.robot_touches()

    def _stop_on_collision(self) -> None:
        """As the arm's own controller does: stop where it is when pushed too hard, twice in a row."""
        force = self.robot_contact_force()
        if force > self._settings.collision_stop and self._force_before > self._settings.collision_stop:
            self.history.stopped_at = self.clock
            self.hold()
        self._force_before = force

    def hold(self) -> None:
        """Drop all trajectories and hold the measured posture."""
        self._pending.clear()
        q, _ = self.joint_state()
        n = len(self.robot.joint_names)
        self.arm.hold(q[:n])
        self.hand_controller.hold(q[n:])

    # -- what can be seen -----------------------------------------------------------------------------

    def joint_state(self) -> tuple[Array, Array]:
        """Positions (rad) and velocities (rad/s) of `joint_names`."""
        return self.data.qpos[self._qpos] - self._cell.joint_error, self.data.qvel[self._qvel].copy()

    def robot_contact_force(self) -> float:
        """N, the largest contact force on any robot part."""
        return self._watcher.robot_force(self.data)
