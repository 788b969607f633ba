"""What an xArm says of itself (xarm_msgs/RobotMsg), and how it is made ready again. Knows no ROS.

The driver's hardware plugin stops writing on an error, or in another mode, and goes on to report success; so the arm has to
be watched beside its controller.
"""

from __future__ import annotations

CONTROL_MODE = 1  # of ros2_control: servo
STOPPED = 4       # states: 1 moving, 2 ready, 3 paused, 4 stopped, 5 configuration changed
STATES = {3: "paused", STOPPED: "stopped", 5: "stopped after a change of its configuration"}
ALL_JOINTS = 8    # of motion_enable
ERRORS = {1: "emergency stop", 2: "emergency stop by its input", 3: "its three-state switch was released",
          22: "it would collide with itself", 23: "a joint is at its limit", 24: "a joint is too fast",
          31: "it has hit something (collision current)", 35: "it is at its safety boundary"}
# Service, type, fields: in this order. set_mode stops the arm inside, so set_state follows it.
Step = tuple[str, str, dict[str, int]]
BEFORE_MOVING: tuple[Step, ...] = (
    ("clean_error", "Call", {}), ("clean_warn", "Call", {}), ("motion_enable", "SetInt16ById", {"id": ALL_JOINTS, "data": 1}),
    ("set_mode", "SetInt16", {"data": CONTROL_MODE}))
LET_MOVE: Step = ("set_state", "SetInt16", {"data": 0})


def fault_of(state: int, mode: int, error: int) -> str:
    """What is wrong with the arm, in words; "" while it can be commanded."""
    if error:
        return f"xArm error {error}: {ERRORS.get(error, 'see the error codes in its manual')}"
    if state > 2:
        return f"xArm is {STATES.get(state, f'in state {state}')}"
    if mode != CONTROL_MODE:
        return f"xArm is in mode {mode}, which ros2_control does not command; it needs mode {CONTROL_MODE}"
    return ""
