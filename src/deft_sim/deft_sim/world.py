"""The simulated robot cell: physics, controllers, collision stop, and what a person would see.

Physics runs only while something moves: from the start of a trajectory until SETTLE_SECONDS after
its end, and on until everything is at rest. In between the world sleeps; the clock goes on, nothing changes. With the commands
starting at their stamps, what happens is then a function of the commands alone, not of how fast
messages travel.
"""

from __future__ import annotations

import mujoco
import numpy as np
from mujoco import rollout

from deft_core.config import parse
from deft_core.descriptions import HandConfig, RobotConfig, TaskConfig
from deft_core.types import Array
from deft_sim.config import RobotSim, SceneConfig
from deft_sim.controller import JointTrajectory, TrajectoryController
from deft_sim.history import DIGITS, History, Moment
from deft_sim.model import HAND_PREFIX, TIMESTEP, robot_spec
from deft_sim.scenes import scene_module

TICK_STEPS = 10  # physics steps a tick: 20 ms
TICK_SECONDS = TICK_STEPS * TIMESTEP
SETTLE_SECONDS = 0.2
SETTLE_LIMIT = 3.0    # s, at most this long after a trajectory
REST_SPEED = 0.05     # m/s and rad/s
LANDING_SECONDS = 0.36
PLACE_CLEARANCE = 0.001  # m, objects are put down from this high


class SimWorld:
    """One robot, one table, one object.

    Args:
        robot, hand, task: descriptions with their `sim` sections.
        seed: with the episode index it decides object and pose.
    """

    def __init__(self, robot: RobotConfig, hand: HandConfig, task: TaskConfig, seed: int) -> None:
        self.robot, self.hand = robot, hand
        self._settings = parse(RobotSim, robot.sim, f"robot '{robot.name}', sim")
        self._scene_config = parse(SceneConfig, task.sim, f"task '{task.name}', sim")
        self.scene = scene_module(self._scene_config.scene)
        self._seed = seed
        self._grasp_frame = hand.grasp_frame.pose().matrix()  # in the hand's base link
        self.clock = 1.0  # s, robot clock
        self._settle_left = 0.0
        self._steps = 0
        self.history = History()
        self.arm = TrajectoryController(robot.joint_names, np.array(robot.park))
        self.hand_controller = TrajectoryController(hand.joint_names, np.array(hand.open_pose))
        self._pending: list[tuple[TrajectoryController, JointTrajectory]] = []
        self.reset("train", 0)

    def reset(self, object_set: str, episode: int) -> None:
        """Take the old object away and put the episode's one on the table. The robot stays where it is."""
        count = self.scene.object_sets().get(object_set)
        if count is None:
            raise ValueError(f"unknown object set '{object_set}'; valid: {', '.join(self.scene.object_sets())}")
        sets = sorted(self.scene.object_sets())
        rng = np.random.default_rng(np.random.SeedSequence([self._seed, sets.index(object_set), episode]))
        index = int(rng.integers(count))
        x, y, yaw = self.scene.place(rng, self._scene_config)
        spec = robot_spec(self.robot, self.hand)
        self.scene.add(spec, object_set, index)
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self._state = np.zeros(mujoco.mj_stateSize(self.model, mujoco.mjtState.mjSTATE_FULLPHYSICS))
        self._index_model()
        self._put_robot()
        at = self._object_qpos
        self.data.qpos[at:at + 3] = x, y, self.robot.table_height + PLACE_CLEARANCE
        self.data.qpos[at + 3:at + 7] = np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)
        mujoco.mj_forward(self.model, self.data)
        self._advance(int(LANDING_SECONDS / TIMESTEP))
        self.history = History([self._moment()])
        self._force_before = 0.0
        self._steps += 1

    def _index_model(self) -> None:
        m = self.model
        names = [*self.robot.joint_names, *(HAND_PREFIX + n for n in self.hand.joint_names)]
        self.joint_names = (*self.robot.joint_names, *self.hand.joint_names)
        self._qpos = np.array([m.joint(n).qposadr[0] for n in names])
        self._qvel = np.array([m.joint(n).dofadr[0] for n in names])
        actuators = [m.actuator(n) for n in names]
        self._ctrl = np.array([a.id for a in actuators])
        # velocity feed-forward through the position servo: kp (q + kv/kp v - q) - kv v = kp (q_d - q) + kv (v_d - v)
        self._lead = np.array([-a.biasprm[2] / a.gainprm[0] for a in actuators])
        self._object_qpos = int(m.joint("object").qposadr[0])
        self._object_body = m.body("object").id
        self._palm_body = m.body(HAND_PREFIX + self.hand.base_link).id
        self._object_geoms = {g for g in range(m.ngeom) if m.geom_bodyid[g] == self._object_body}
        self._collision_geoms = [g for g in self._object_geoms if m.geom_contype[g]]
        self._boxes = m.geom_aabb[self._collision_geoms].copy()
        self._digit = {g: self._digit_of(m.geom_bodyid[g]) for g in range(m.ngeom)}
        self._robot_geoms = {g for g in range(m.ngeom) if m.geom_bodyid[g] not in (0, self._object_body)}

    def _digit_of(self, body: int) -> str:
        """Which of DIGITS a body belongs to, "" for none: fingers branch off the palm in the URDF's order."""
        m = self.model
        chain = [body]
        while chain[-1] != 0:
            chain.append(int(m.body_parentid[chain[-1]]))
        if self._palm_body not in chain:
            return ""
        if body == self._palm_body:
            return "palm"
        roots = [b for b in range(m.nbody) if m.body_parentid[b] == self._palm_body]
        return DIGITS[1 + roots.index(chain[chain.index(self._palm_body) - 1])]

    def _put_robot(self) -> None:
        """At rest, on the controllers' targets."""
        self.data.qpos[self._qpos] = np.concatenate([self.arm.target, self.hand_controller.target])
        self.data.ctrl[self._ctrl] = self.data.qpos[self._qpos]

    # -- commands -----------------------------------------------------------------------------------

    def command_arm(self, trajectory: JointTrajectory) -> None:
        """Queue a trajectory for the arm's controller. Raises ValueError where it would be rejected."""
        self._command(self.arm, trajectory)

    def command_hand(self, trajectory: JointTrajectory) -> None:
        """Queue a trajectory for the hand's controller. Raises ValueError where it would be rejected."""
        self._command(self.hand_controller, trajectory)

    def _command(self, controller: TrajectoryController, trajectory: JointTrajectory) -> None:
        probe = TrajectoryController(controller.names, controller.target)
        probe.accept(trajectory)
        is_hold = len(trajectory.times) == 1 and trajectory.start <= self.clock
        if is_hold:
            self._pending = [(c, t) for c, t in self._pending if c is not controller]
        if is_hold or not self._settling:
            controller.accept(trajectory)
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
    def version(self) -> int:
        """Changes whenever the world may look different."""
        return self._steps

    # -- time -----------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Advance the clock by 20 ms, or exactly to the start of the next trajectory when that is nearer."""
        if self.asleep:
            start = min(self.arm.start, self.hand_controller.start)
            if start > self.clock + TICK_SECONDS - 1e-9:
                self.clock += TICK_SECONDS
                return
            self.clock = max(self.clock, start)
        if self._moving:
            self._settle_left = SETTLE_SECONDS
        self._advance(TICK_STEPS)
        if not self._moving:
            self._settle()
        self._steps += 1
        self.history.moments.append(self._moment())
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
            controller.accept(trajectory)
        self._pending.clear()

    def _advance(self, steps: int) -> None:
        """Physics and clock, with the controllers' commands at every step.

        One call into MuJoCo for all steps: between single steps other Python threads would get in.
        """
        times = np.asarray(self.clock + TIMESTEP * np.arange(steps), float)
        q_arm, v_arm = self.arm.sample(times)
        q_hand, v_hand = self.hand_controller.sample(times)
        control = np.zeros((1, steps, self.model.nu))
        control[0][:, self._ctrl] = np.hstack([q_arm, q_hand]) + self._lead * np.hstack([v_arm, v_hand])
        mujoco.mj_getState(self.model, self.data, self._state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        rollout.rollout(self.model, self.data, self._state[None], control,
                        initial_warmstart=self.data.qacc_warmstart[None].copy())
        self.data.ctrl[:] = control[0, -1]
        self.clock = round(self.clock + steps * TIMESTEP, 6)

    def _stop_on_collision(self) -> None:
        """As the arm's own controller does: stop where it is when pushed too hard, twice in a row."""
        force = self.robot_contact_force()
        if force > self._settings.collision_stop and self._force_before > self._settings.collision_stop:
            self.history.collision = True
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
        return self.data.qpos[self._qpos].copy(), self.data.qvel[self._qvel].copy()

    def robot_contact_force(self) -> float:
        """N, the largest contact force on any robot part."""
        largest, wrench = 0.0, np.zeros(6)
        for i in range(self.data.ncon):
            contact = self.data.contact[i]
            if contact.geom1 in self._robot_geoms or contact.geom2 in self._robot_geoms:
                mujoco.mj_contactForce(self.model, self.data, i, wrench)
                largest = max(largest, float(np.linalg.norm(wrench[:3])))
        return largest

    def _moment(self) -> Moment:
        touching = set()
        for i in range(self.data.ncon):
            a, b = int(self.data.contact[i].geom1), int(self.data.contact[i].geom2)
            if a in self._object_geoms or b in self._object_geoms:
                touching.add(self._digit[b if a in self._object_geoms else a])
        data, palm = self.data, self._palm_body
        palm_matrix = data.xmat[palm].reshape(3, 3)
        return Moment(self.clock, data.xpos[self._object_body].copy(), data.xmat[self._object_body].reshape(3, 3).copy(),
                      data.xpos[palm] + palm_matrix @ self._grasp_frame[:3, 3], palm_matrix @ self._grasp_frame[:3, :3],
                      frozenset(touching - {""}), self._bottom() - self.robot.table_height)

    def _bottom(self) -> float:
        """m, z of the object's lowest point: lowest corner of its collision shapes' bounding boxes."""
        centre, half = self._boxes[:, :3], self._boxes[:, 3:]
        up = self.data.geom_xmat[self._collision_geoms].reshape(-1, 3, 3)[:, 2]
        middle = self.data.geom_xpos[self._collision_geoms, 2] + (up * centre).sum(axis=1)
        return float((middle - (np.abs(up) * half).sum(axis=1)).min())
