from moveit_msgs.msg import MotionPlanRequest, MoveItErrorCodes, PlanningOptions, RobotTrajectory

class MoveGroup:
    class Goal:
        request: MotionPlanRequest
        planning_options: PlanningOptions
    class Result:
        error_code: MoveItErrorCodes
        planned_trajectory: RobotTrajectory
