"""The simulator's nodes: a robot cell on the robot's own topics, and a scripted operator beside it."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from deft_msgs.msg import RewardRequest
from deft_msgs.srv import SubmitReward
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header, String
from trajectory_msgs.msg import JointTrajectory as TrajectoryMsg

from deft_core.config import parse
from deft_core.descriptions import load_task
from deft_core.errors import ConfigError
from deft_core.ros import conversions as conv
from deft_core.ros import names, qos
from deft_core.ros.node import (
    CallTimeout,
    DeftNode,
    call,
    declare,
    declare_config_dir,
    declare_fields,
    declare_hand,
    declare_robot,
    refuse_unknown_parameters,
    run_node,
)
from deft_core.streaming import BRAKE, CONTINUES
from deft_sim.camera import SimCamera
from deft_sim.config import RobotSim
from deft_sim.controller import JointTrajectory
from deft_sim.faults import FAULTS, checked
from deft_sim.history import Verdict
from deft_sim.operator import OperatorConfig, judge
from deft_sim.world import TICK_SECONDS, SimWorld

CAMERA_SHARE = 0.15  # of wall time at most that goes into rendering while the simulation runs free, but
# While a scene is laid or rendered the world stands still for a while. A robot's joint state broadcaster does not
# wait for the camera: the last state is sent again after BEAT, for STANDSTILL at most, s of wall time.
BEAT, STANDSTILL = 0.1, 3.0
# s of wall time waited for the next part of a motion, at most; s of robot clock before its brake begins
DEADMAN, DEADMAN_REAL_TIME, MARGIN = 0.5, 0.25, 0.08
LONGEST_BLIND = 2.5  # s of robot clock between pictures at most, so that no grasp goes unseen
# A world that runs free hurries where nothing moves, too: by this factor until a motion that was sent starts (arm and hand
# are two messages, and the second has to arrive meanwhile), and for so many s of its clock after a motion, which its sender
# waits to see the end of.
HURRY, AFTERWARDS = 2.0, 0.1


class SimNode(DeftNode):
    """Robot and camera. One thread owns the world and OpenGL; ROS callbacks only queue work for it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("deft_sim", **kwargs)
        config_dir = declare_config_dir(self)
        self.robot, self.hand = declare_robot(self, config_dir), declare_hand(self, config_dir)
        task_name = declare(self, "task", "pick_cup", "name of a file in tasks/, decides what stands on the table")
        self.task = load_task(config_dir, task_name)
        self.seed = declare(self, "seed", 0, "of objects and their poses", low=0)
        self._factor = declare(self, "real_time_factor", 0.0, "simulated s per wall s; 0 = as fast as the machine allows",
                               read_only=False, low=0.0, high=100.0)
        self._fault = checked(declare(self, "fault", "", "a fault to rehearse, empty for none: " + ", ".join(FAULTS),
                                      read_only=False))
        declare(self, "operator", "scripted", "scripted: scores and resets the table; hands: only resets it; none (read by the "
                "executable)")
        refuse_unknown_parameters(self)
        self.add_on_set_parameters_callback(self._set_parameters)
        self._settings = parse(RobotSim, self.robot.sim, f"robot '{self.robot.name}', sim")
        self._jobs: queue.SimpleQueue[tuple[Callable[[SimWorld], Any], Future[Any]]] = queue.SimpleQueue()
        self._make_interfaces()
        self._begun, self._stopping = threading.Event(), threading.Event()
        self._abandoned = 0.0  # robot clock, s, at which a motion runs out whose sender is taken for dead
        self._told: tuple[JointState, float] | None = None  # the last joint state, and when, s of wall time
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="deft_sim", daemon=True)
        self._thread.start()
        self._ready.result(timeout=120)
        self._heart = threading.Thread(target=self._beat, name="joint_states_again", daemon=True)
        self._heart.start()

    def _make_interfaces(self) -> None:
        camera = self.robot.camera.namespace
        self._joint_states = self.create_publisher(JointState, self.robot.joint_states_topic, qos.JOINT_STATE_PUBLISHER)
        self._clock_publisher = self.create_publisher(Clock, "/clock", qos.CLOCK)
        self._rgb = self.create_publisher(Image, f"{camera}/color/image_raw", qos.IMAGE_PUBLISHER)
        self._rgb_info = self.create_publisher(CameraInfo, f"{camera}/color/camera_info", qos.IMAGE_PUBLISHER)
        self._depth = self.create_publisher(Image, f"{camera}/aligned_depth_to_color/image_raw", qos.IMAGE_PUBLISHER)
        self._depth_info = self.create_publisher(CameraInfo, f"{camera}/aligned_depth_to_color/camera_info",
                                                 qos.IMAGE_PUBLISHER)
        self._faults = self.create_publisher(String, names.ROBOT_FAULT, qos.LATCHED)
        self.clock_offset = 0.0  # s, the robot's clock less the simulation's
        group = MutuallyExclusiveCallbackGroup()
        for topic, command in ((self.robot.arm_command_topic, SimWorld.command_arm),
                               (self.robot.hand_command_topic, SimWorld.command_hand)):
            self.create_subscription(TrajectoryMsg, topic, lambda m, c=command: self._command(c, m), qos.COMMAND,
                                     callback_group=group)

    def begin(self) -> None:
        """The robot is there from now on. See DeftNode."""
        self._begin_fault()
        self._begun.set()

    def _set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == "fault":
                try:
                    self._fault = checked(parameter.value)
                except ConfigError as error:
                    return SetParametersResult(successful=False, reason=str(error))
                self._begin_fault()
            elif parameter.name == "real_time_factor":
                self._factor = parameter.value
        return SetParametersResult(successful=True)

    def _begin_fault(self) -> None:
        self._set_clock_back = self._fault == "clock_back"
        self._faults.publish(String(data=FAULTS["robot_fault"] if self._fault == "robot_fault" else ""))

    # -- work for the simulation thread -----------------------------------------------------------------

    def ask(self, job: Callable[[SimWorld], Any]) -> Any:
        """Run a job on the world between two ticks and return its result."""
        future: Future[Any] = Future()
        self._jobs.put((job, future))
        return future.result(timeout=60)

    def _command(self, command: Callable[[SimWorld, JointTrajectory], None], message: TrajectoryMsg) -> None:
        if self._fault == "controller_deaf":
            return
        stamp = conv.stamp_seconds(message.header.stamp)
        started_at = stamp - self.clock_offset
        points = message.points
        times = conv.trajectory_times(points)
        try:
            trajectory = JointTrajectory(
                tuple(message.joint_names), times,
                np.array([p.positions for p in points], float),
                np.array([p.velocities if len(p.velocities) else [0.0] * len(p.positions) for p in points], float), started_at,
                message.header.frame_id == CONTINUES)
        except ValueError as error:
            self.get_logger().error(f"trajectory rejected: {error}")
            return

        def job(world: SimWorld) -> None:
            started = trajectory if stamp else replace(trajectory, start=world.clock)
            try:
                command(world, started)
            except ValueError as error:
                self.get_logger().error(f"trajectory rejected: {error}")

        self._jobs.put((job, Future()))

    # -- the simulation thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            world = SimWorld(self.robot, self.hand, self.task, self.seed)
            self._camera: SimCamera | None = None
            self._camera_model: object = None
            self._frame: tuple[Any, Any] | None = None
            self._frame_version = -1
            self._next_frame, self._next_frame_wall, self._last_frame = 0.0, 0.0, 0.0
            self._moved = -np.inf  # robot clock, s, when anything moved last
            self._in_flight: deque[tuple[float, tuple[tuple[Any, Any], ...]]] = deque()
            self._show(world)
        except Exception as error:
            self._ready.set_exception(error)
            return
        self._ready.set_result(None)
        self._begun.wait()
        while not self._stopping.is_set():
            started = time.monotonic()
            self._do_jobs(world)
            self._await_window(world)
            world.tick()
            self._publish_state(world)
            self._publish_frame(world)
            self._deliver_frames(world)
            self._pace(world, started)
        if self._camera:
            self._camera.close()

    def _await_window(self, world: SimWorld) -> None:
        """Let no more time pass than the controllers were told what to do in, while their sender lives.

        The simulation may run much faster than the clock on the wall. With this, what happens does not depend on how fast
        messages travel; and a sender that has died is noticed after DEADMAN s of wall time.
        """
        deadline = time.monotonic() + (DEADMAN_REAL_TIME if self._factor > 0 else DEADMAN)
        while world.clock >= world.runs_out - BRAKE - MARGIN and world.runs_out != self._abandoned:
            try:
                job, future = self._jobs.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self._abandoned = world.runs_out
                return
            self._do(world, job, future)

    def _do_jobs(self, world: SimWorld) -> None:
        while True:
            try:
                job, future = self._jobs.get_nowait()
            except queue.Empty:
                return
            self._do(world, job, future)

    @staticmethod
    def _do(world: SimWorld, job: Callable[[SimWorld], Any], future: Future[Any]) -> None:
        try:
            future.set_result(job(world))
        except Exception as error:
            future.set_exception(error)

    def _pace(self, world: SimWorld, started: float) -> None:
        """Real-time factor, or no waiting while a trajectory runs; an idle world follows the wall clock, see HURRY."""
        if not world.idle:
            self._moved = world.clock
        if self._factor > 0:
            factor = self._factor
        elif world.waits_to_start:
            factor = HURRY
        elif world.clock <= self._moved + AFTERWARDS:
            return
        else:
            factor = 1.0
        time.sleep(max(0.0, TICK_SECONDS / factor - (time.monotonic() - started)))

    def _publish_state(self, world: SimWorld) -> None:
        stamp = self._stamp(world.clock)
        position, velocity = world.joint_state()
        order, extra = list(range(len(world.joint_names))), []
        if self._fault == "joint_states_incomplete":
            order = order[:-1]
        elif self._fault == "joint_states_shuffled":
            order, extra = order[::-1], ["a_joint_that_nobody_knows"]
        state = JointState(header=Header(stamp=stamp), name=[*extra, *(world.joint_names[i] for i in order)],
                           position=[*(0.0 for _ in extra), *position[order].tolist()],
                           velocity=[*(0.0 for _ in extra), *velocity[order].tolist()])
        self._told = None if self._fault == "joint_states_silent" else (state, time.monotonic())
        if self._told is not None:
            self._joint_states.publish(state)
        self._clock_publisher.publish(Clock(clock=stamp))

    def _stamp(self, clock: float) -> Time:
        """What the robot's clock says at s of simulation."""
        if self._set_clock_back:
            self._set_clock_back, self.clock_offset = False, 1.0 - clock
        return conv.stamp_msg(round((clock + self.clock_offset) * 1e9))

    def _beat(self) -> None:
        """Send the last joint state again while the simulation thread is busy with something else."""
        while not self._stopping.wait(BEAT):
            told = self._told
            if told is not None and BEAT < time.monotonic() - told[1] < STANDSTILL:
                self._joint_states.publish(told[0])

    def _show(self, world: SimWorld) -> None:
        """Render, unless nothing has changed since the last frame."""
        if self._camera is None or self._camera_model is not world.model:
            if self._camera:
                self._camera.close()
            self._camera, self._camera_model = SimCamera(world.model, self.robot.camera, world.realism), world.model
        if self._frame is None or self._frame_version != world.version:
            self._frame = self._camera.render(world.data, noise_seed=world.picture_seed)
            self._frame_version = world.version

    def _publish_frame(self, world: SimWorld) -> None:
        now = time.monotonic()
        laid_anew = self._camera_model is not world.model  # a person has reset the scene: somebody will want to see it
        if laid_anew:  # people are slower than pictures: those on their way would have arrived before
            self._in_flight.clear()
        if self._fault == "camera_silent" or (world.clock < self._next_frame and not laid_anew):
            return
        if not laid_anew and now < self._next_frame_wall and world.clock - self._last_frame < LONGEST_BLIND:
            return
        if self._fault != "camera_frozen" or self._frame is None:
            self._show(world)
        took = time.monotonic() - now
        self._last_frame = world.clock
        self._next_frame = world.clock + 1.0 / self._settings.camera_rate
        self._next_frame_wall = now + max(1.0 / self._settings.camera_rate, took / CAMERA_SHARE) * (not self._factor)
        header = Header(stamp=self._stamp(world.clock), frame_id=self.robot.camera.frame)
        assert self._frame is not None
        rgb, depth = self._frame
        info = conv.intrinsics_to_msg(self.robot.camera.intrinsics(), header)
        messages = ((self._rgb, conv.image_to_msg(rgb, "rgb8", header)), (self._rgb_info, info),
                    (self._depth, self._depth_message(depth, header)), (self._depth_info, info))
        self._in_flight.append((world.clock + world.realism.camera_latency, messages))

    def _depth_message(self, depth: Any, header: Header) -> Image:
        """Depth as the camera sends it, (h, w) mm."""
        if self._fault == "depth_empty":
            depth = np.zeros_like(depth)
        elif self._fault == "depth_invalid":
            broken = np.full(depth.shape, np.nan, np.float32)
            broken[::2] = np.inf
            return conv.image_to_msg(broken, "32FC1", header)
        return conv.image_to_msg(depth, "16UC1", header)

    def _deliver_frames(self, world: SimWorld) -> None:
        """Publish the pictures that have been on their way for the camera's latency."""
        while self._in_flight and self._in_flight[0][0] <= world.clock:
            for publisher, message in self._in_flight.popleft()[1]:
                publisher.publish(message)

    def destroy_node(self) -> None:
        self._stopping.set()
        self._begun.set()
        self._thread.join(timeout=5)
        self._heart.join(timeout=1)
        super().destroy_node()


class ScriptedOperatorNode(DeftNode):
    """Answers reward requests as a person would: scores, resets the table, then submits.

    Args:
        hands_only: a person gives the scores. The table is reset as soon as one is asked for, since the pictures are taken
            by then; requests for the scene alone are answered.
    """

    def __init__(self, sim: SimNode, hands_only: bool = False, **kwargs: Any) -> None:
        super().__init__("deft_scripted_operator", **kwargs)
        self._sim, self._hands_only = sim, hands_only
        self._config = declare_fields(self, OperatorConfig)
        refuse_unknown_parameters(self)
        self._client = self.create_client(SubmitReward, names.SUBMIT_REWARD, callback_group=ReentrantCallbackGroup())
        self._requests: queue.SimpleQueue[RewardRequest | None] = queue.SimpleQueue()
        self._verdicts: dict[tuple[str, int, int], Verdict] = {}  # by session, episode, attempt
        self._scores: dict[tuple[str, int], float] = {}           # by session, episode
        self.create_subscription(RewardRequest, names.REWARD_REQUEST, self._requests.put, qos.LATCHED,
                                 callback_group=MutuallyExclusiveCallbackGroup())
        self._thread = threading.Thread(target=self._work, name="scripted_operator", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (request := self._newest()) is not None:
            if not request.session:
                continue
            try:
                if self._hands_only and request.kind != RewardRequest.RESET:
                    self._put(request, request.next_episode)
                else:
                    self._submit_until_taken(self._answer(request))
            except Exception as error:  # whatever went wrong, the next request is answered
                self.get_logger().error(f"episode {request.episode}: {error!r}")

    def _newest(self) -> RewardRequest | None:
        """The latest request; those that it supersedes are not answered."""
        request = self._requests.get()
        while request is not None and not self._requests.empty():
            request = self._requests.get()
        return request

    def _submit_until_taken(self, answer: SubmitReward.Request) -> None:
        """Submit; an answer that could not be saved or delivered is given again until another request comes."""
        while self._requests.empty():
            try:
                result = call(self._client, answer, timeout=30.0, cancelled=lambda: not self._requests.empty())
            except CallTimeout as error:
                if self._requests.empty():  # else the request was withdrawn meanwhile: the answer arrived
                    self.get_logger().warning(str(error))
                continue
            if result.accepted:
                return
            self.get_logger().warning(f"answer for episode {answer.episode} refused: {result.message}")
            if result.error_code != SubmitReward.Request.NOT_SAVED:
                return
            time.sleep(1.0)

    def _answer(self, request: RewardRequest) -> SubmitReward.Request:
        """Score what was seen and put the next object on the table."""
        answer = SubmitReward.Request(session=request.session, episode=request.episode)
        verdict = self._verdict(request) if request.kind != RewardRequest.RESET else None
        if verdict is None:
            answer.voided = True
            answer.note = "scene reset" if request.kind == RewardRequest.RESET else "the grasp was not seen"
        else:
            answer.reward, answer.note = verdict.score, verdict.note
            answer.success = SubmitReward.Request.SUCCESS_YES if verdict.success else SubmitReward.Request.SUCCESS_NO
            if request.kind == RewardRequest.COMPARE:
                answer.comparison, answer.question = self._compared(request, verdict.score), request.question
        self._put(request, request.episode if verdict is None else request.next_episode)
        return answer

    def _put(self, request: RewardRequest, episode: int) -> None:
        """Put the object of an episode on the table; -1: there is none to come."""
        if episode >= 0:
            self._sim.ask(lambda w: w.reset(request.object_set, episode))

    def _verdict(self, request: RewardRequest) -> Verdict | None:
        """What was seen of an attempt. It is judged once: the table is reset after the first of several questions."""
        key = (request.session, request.episode, request.attempt)
        if key not in self._verdicts:
            ahead = self._sim.clock_offset
            phases = {name: (start - ahead, end - ahead) for name, start, end in conv.phases_from_msg(request.phases)}
            verdict = self._sim.ask(lambda w: judge(w, phases, self._config, self._sim.seed, request.episode))
            if verdict is None:
                return None
            self._verdicts[key] = verdict
            self._scores[request.session, request.episode] = verdict.score
        return self._verdicts[key]

    def _compared(self, request: RewardRequest, score: float) -> int:
        """Beside the earlier grasp. One that was seen by nobody (this node was started later) counts as middling."""
        other = self._scores.get((request.session, request.other_episode), 0.5)
        kinds = SubmitReward.Request
        return int(kinds.COMPARED_BETTER if score > other else kinds.COMPARED_WORSE if score < other else kinds.COMPARED_EQUAL)

    def destroy_node(self) -> None:
        self._requests.put(None)
        self._thread.join(timeout=5)
        super().destroy_node()


def main() -> None:
    """Executable `sim_node`: the robot cell and, unless the parameter `operator` is none, the operator or only their hands."""
    for variable in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):  # the latter before Fast DDS 3
        os.environ.setdefault(variable, str(Path(__file__).parent / "dds" / "large_pictures.xml"))
    made: list[SimNode] = []

    def sim() -> SimNode:
        made.append(SimNode())
        return made[0]

    def operator() -> ScriptedOperatorNode | None:
        who = made[0].get_parameter("operator").value
        return None if who == "none" else ScriptedOperatorNode(made[0], hands_only=who == "hands")

    run_node(sim, operator)


if __name__ == "__main__":
    main()
