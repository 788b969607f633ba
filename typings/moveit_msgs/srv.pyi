from typing import Any

from moveit_msgs.msg import MoveItErrorCodes, PlanningScene, RobotState, RobotTrajectory

class ApplyPlanningScene:
    class Request:
        def __init__(self, *, scene: PlanningScene = ...) -> None: ...
    class Response:
        success: bool

class GetCartesianPath:
    class Request:
        header: Any
        def __init__(self, *, start_state: RobotState = ..., group_name: str = ..., link_name: str = ...,
                     waypoints: list[Any] = ..., max_step: float = ..., avoid_collisions: bool = ...,
                     max_velocity_scaling_factor: float = ..., max_acceleration_scaling_factor: float = ...) -> None: ...
    class Response:
        solution: RobotTrajectory
        fraction: float
        error_code: MoveItErrorCodes
