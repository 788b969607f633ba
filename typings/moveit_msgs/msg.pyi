from typing import Any

class MoveItErrorCodes:
    val: int
    message: str
    source: str

class JointConstraint:
    def __init__(self, *, joint_name: str = ..., position: float = ..., tolerance_above: float = ...,
                 tolerance_below: float = ..., weight: float = ...) -> None: ...

class Constraints:
    def __init__(self, *, name: str = ..., joint_constraints: list[JointConstraint] = ...) -> None: ...

class CollisionObject:
    id: str
    ADD: bytes
    REMOVE: bytes
    header: Any
    pose: Any
    primitives: list[Any]
    primitive_poses: list[Any]
    def __init__(self, *, id: str = ..., operation: bytes = ...) -> None: ...

class AttachedCollisionObject:
    def __init__(self, *, link_name: str = ..., object: CollisionObject = ..., touch_links: list[str] = ...,
                 weight: float = ...) -> None: ...

class RobotState:
    joint_state: Any
    attached_collision_objects: list[AttachedCollisionObject]
    is_diff: bool
    def __init__(self, *, is_diff: bool = ...) -> None: ...

class RobotTrajectory:
    joint_trajectory: Any

class PlanningSceneWorld:
    collision_objects: list[CollisionObject]

class PlanningScene:
    robot_state: RobotState
    world: PlanningSceneWorld
    is_diff: bool
    def __init__(self, *, is_diff: bool = ...) -> None: ...

class PlanningOptions:
    planning_scene_diff: PlanningScene
    plan_only: bool

class MotionPlanRequest:
    start_state: RobotState
    goal_constraints: list[Constraints]
    pipeline_id: str
    planner_id: str
    group_name: str
    num_planning_attempts: int
    allowed_planning_time: float
    max_velocity_scaling_factor: float
    max_acceleration_scaling_factor: float
