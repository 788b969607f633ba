"""The motion node: checks, plans and executes grasps; the only one that commands arm and hand."""

from __future__ import annotations

import threading
import time

from deft_msgs.action import ExecuteGrasp, Park
from deft_msgs.srv import CheckGrasp, Rearm, Stop
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from deft_core.descriptions import TaskConfig, load_task
from deft_core.errors import ConfigError, DeftError
from deft_core.hardware import PLANNERS
from deft_core.ros import conversions as conv
from deft_core.ros import names
from deft_core.ros.node import (
    CallTimeout,
    DeftNode,
    answering,
    call,
    declare,
    declare_config_dir,
    declare_hand,
    declare_robot,
    refuse_unknown_parameters,
    run_node,
)
from deft_core.ros.qos import LATCHED
from deft_motion import codes
from deft_motion.executor import Cancelled, GraspExecutor
from deft_motion.gate import SafetyGate
from deft_motion.grasp_plan import GraspGoal, GraspPlanner
from deft_motion.kinematics import ArmHandModel
from deft_motion.markers import preview_markers
from deft_motion.planners import make_planner
from deft_motion.preview import preview
from deft_motion.robot_port import GatedRobot
from deft_motion.watch import MotionWatch, Problem

SHUTDOWN_SECONDS = 3.0
RECOVERY_SECONDS = 15.0  # of a driver's node, for its whole sequence
CLEARED_SECONDS = 0.5    # for its report to arrive


class MotionNode(DeftNode):
    """Services check_grasp, stop, rearm; actions execute_grasp, park. One motion at a time."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__("deft_motion", **kwargs)
        self._config_dir = declare_config_dir(self)
        robot, hand = declare_robot(self, self._config_dir), declare_hand(self, self._config_dir)
        camera_timeout = declare(self, "camera_timeout", 1.0, "s of wall time without a camera image after which a motion "
                                 "holds; 0: the camera is not watched", low=0.0, high=60.0)
        planner = declare(self, "planner", "ompl", "of the arm: " + " | ".join(PLANNERS) + "; the last two need `moveit` in "
                          "the robot's YAML")
        refuse_unknown_parameters(self)
        self._base_frame = robot.base_frame
        # One model for planning, one for the gate: checks and motions run in different threads.
        self._gate = SafetyGate(robot, hand, ArmHandModel(robot, hand))
        self._check_model = ArmHandModel(robot, hand)
        self._check_planner = GraspPlanner(robot, hand, self._check_model, self._gate)
        model = ArmHandModel(robot, hand)
        self._port = GatedRobot(self, robot, hand, self._gate)
        self._planner = make_planner(planner, self, model, lambda: self._under_way is not None
                                     and self._interrupted(self._under_way))
        self._executor = GraspExecutor(robot, hand, model, self._planner,
                                       GraspPlanner(robot, hand, model, self._gate, self._planner.straight), self._port)
        self._planned = self.create_publisher(MarkerArray, names.PLANNED_GRASP, LATCHED)
        self._busy, self._rearming = threading.Lock(), threading.Lock()
        self._under_way: ServerGoalHandle | None = None
        self._problem: Problem | None = None  # of the motion under way
        self._watch = MotionWatch(self, robot.camera, camera_timeout, self._fault)
        self._recoveries = {name: self.create_client(Trigger, name, callback_group=ReentrantCallbackGroup())
                            for name in (names.RECOVER_ROBOT, names.RECOVER_HAND)}
        motions, control = ReentrantCallbackGroup(), ReentrantCallbackGroup()
        self.create_service(CheckGrasp, names.CHECK_GRASP, self._check, callback_group=MutuallyExclusiveCallbackGroup())
        self.create_service(Stop, names.STOP, self._stop, callback_group=control)
        self.create_service(Rearm, names.REARM, self._rearm, callback_group=control)
        for action, name, run in ((ExecuteGrasp, names.EXECUTE_GRASP, self._execute), (Park, names.PARK, self._park)):
            ActionServer(self, action, name, run, callback_group=motions, goal_callback=self._accept,
                         cancel_callback=lambda _: CancelResponse.ACCEPT)

    # -- services -----------------------------------------------------------------------------------

    def _task(self, name: str) -> TaskConfig:
        try:
            return load_task(self._config_dir, name)
        except ConfigError as error:
            raise DeftError(codes.BAD_INPUT, str(error)) from None

    def _goal(self, request: CheckGrasp.Request | ExecuteGrasp.Goal) -> GraspGoal:
        try:
            grasp, surroundings = conv.grasp_from_msg(request.grasp), conv.cloud_from_msg(request.surroundings)
        except ValueError as error:
            raise DeftError(codes.BAD_INPUT, str(error)) from None
        if request.surroundings.header.frame_id not in ("", self._base_frame):
            raise DeftError(codes.BAD_INPUT, f"surroundings are in frame '{request.surroundings.header.frame_id}', needed "
                            f"'{self._base_frame}'")
        return GraspGoal(grasp, self._task(request.task), request.table_height,
                         conv.xyz(request.object_centre), conv.xyz(request.object_extent), surroundings)

    def _check(self, request: CheckGrasp.Request, response: CheckGrasp.Response) -> CheckGrasp.Response:
        with answering(self, response, codes.BAD_INPUT):
            plan = self._check_planner.plan(self._goal(request))
            response.feasible, response.executed = True, conv.grasp_to_msg(plan.executed)
            response.preview = preview_markers(preview(self._check_model, plan), self._base_frame, self.get_clock().now())
            self._planned.publish(response.preview)
        return response

    def _stop(self, request: Stop.Request, response: Stop.Response) -> Stop.Response:
        self._gate.stop(request.reason)
        response.stopped = True
        try:
            self._port.hold()
            response.message = f"stopped: {self._gate.stopped}; call rearm to go on"
        except DeftError as error:
            response.message = f"latched; {error.message}"
        self.get_logger().warning(response.message)
        return response

    def _rearm(self, _: Rearm.Request, response: Rearm.Response) -> Rearm.Response:
        if not self._rearming.acquire(blocking=False):
            response.message = "it is being rearmed already"
            return response
        stops = self._gate.stops
        try:
            self._recover()
            self._gate.rearm(self._port.latest(), stops)
            response.armed, response.message = True, "armed"
        except DeftError as error:
            response.message = error.message
        finally:
            self._rearming.release()
        return response

    def _recover(self) -> None:
        """Have the drivers' nodes clear what they report, where there are such nodes. Raises DeftError ROBOT_FAULT."""
        for service, fault in list(self._watch.faults.items()):
            client = self._recoveries[service]
            if not fault or not client.service_is_ready():
                continue
            try:
                answer = call(client, Trigger.Request(), RECOVERY_SECONDS)
            except CallTimeout as error:
                raise DeftError(codes.ROBOT_FAULT, f"{fault}; {error}") from None
            if not answer.success:
                raise DeftError(codes.ROBOT_FAULT, f"it could not be recovered: {answer.message}")
        deadline = time.monotonic() + CLEARED_SECONDS
        while self._watch.fault and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._watch.fault:
            raise DeftError(codes.ROBOT_FAULT, f"the robot still reports a fault: {self._watch.fault}; clear it first")

    def _fault(self, reason: str) -> None:
        """The robot has said that something is wrong with it."""
        self._gate.stop(f"robot fault: {reason}")
        try:
            self._port.hold()
        except DeftError as error:
            self.get_logger().error(f"robot fault; {error.message}")
        self.get_logger().error(f"robot fault: {reason}; clear it, then call rearm")

    # -- actions --------------------------------------------------------------------------------------

    def _accept(self, _: object) -> GoalResponse:
        """Reject at once while another motion is under way."""
        if self._busy.locked():
            self.get_logger().warning("goal rejected: another motion is under way")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _execute(self, handle: ServerGoalHandle) -> ExecuteGrasp.Result:
        result = ExecuteGrasp.Result()

        def on_phase(phase: str, progress: float) -> None:
            handle.publish_feedback(ExecuteGrasp.Feedback(phase=phase, progress=progress))

        def run() -> None:
            done = self._executor.execute(self._goal(handle.request), handle.request.seed, on_phase,
                                          lambda: self._interrupted(handle))
            result.executed, result.clearance_lift = conv.grasp_to_msg(done.executed), done.lift
            result.stop_reason, result.planning_seconds = done.stop_reason, done.planning
            result.phases = conv.phases_to_msg(done.phases)

        return self._carry_out(handle, result, run)

    def _park(self, handle: ServerGoalHandle) -> Park.Result:
        return self._carry_out(handle, Park.Result(), lambda: self._executor.park(
            handle.request.seed, lambda: self._interrupted(handle)))

    def _interrupted(self, handle: ServerGoalHandle) -> bool:
        self._problem = self._problem or self._watch.problem()  # the first one is kept: it may have passed when the arm holds
        return bool(handle.is_cancel_requested or self._gate.stopped or self._problem)

    def _carry_out(self, handle: ServerGoalHandle, result: ExecuteGrasp.Result | Park.Result, run) -> object:
        """Claim the robot, run a motion, turn its failures into error codes, and free the robot for the next goal."""
        if not self._busy.acquire(blocking=False):
            result.error_code, result.error_msg = codes.BUSY, "another motion is under way"
            handle.abort()
            return result
        self._watch.begin()
        self._problem, self._under_way = None, handle
        try:
            run()
            handle.succeed()
        except Cancelled:
            problem = self._problem
            if problem is not None:
                result.error_code, result.error_msg = problem
                self.get_logger().error(f"the robot holds: {problem[1]}")
                handle.abort()
            elif self._gate.stopped:
                result.error_code, result.error_msg = codes.STOPPED, f"stopped: {self._gate.stopped}"
                handle.abort()
            else:
                result.error_code, result.error_msg = codes.EXECUTION_FAILED, "cancelled; the robot holds where it was"
                (handle.canceled if handle.is_cancel_requested else handle.abort)()
        except DeftError as error:
            result.error_code, result.error_msg = error.code, error.message
            handle.abort()
        except Exception as error:  # the robot must be freed and the client told, whatever went wrong
            self.get_logger().error(f"motion failed: {error!r}")
            result.error_code, result.error_msg = codes.EXECUTION_FAILED, f"internal error: {error!r}"
            handle.abort()
        finally:
            self._under_way = None
            self._busy.release()
        return result

    def interrupt(self) -> None:
        """Hold where the robot is: nobody will watch it any more."""
        if self._busy.locked():
            self._gate.stop("the motion node is shut down")
            if self._busy.acquire(timeout=SHUTDOWN_SECONDS):
                self._busy.release()

    def destroy_node(self) -> None:
        """Stop listening to the robot, and sending."""
        self._watch.close()
        self._port.close()
        self._planner.close()
        super().destroy_node()


def main() -> None:
    """Executable `motion_node`."""
    run_node(MotionNode, threads=6)


if __name__ == "__main__":
    main()
