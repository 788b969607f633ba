"""Error codes of deft_msgs CheckGrasp, ExecuteGrasp and Park, for the ROS-free core (a contract test keeps them equal)."""

OK = 0
BAD_INPUT = 401
UNREACHABLE = 402
COLLISION = 403
OUT_OF_WORKSPACE = 404
PLANNING_FAILED = 405
STOPPED = 406
STALE_STATE = 407
EXECUTION_FAILED = 408
BUSY = 409
GATE_REFUSED = 410
NODE_LOST = 411
CAMERA_LOST = 412
ROBOT_FAULT = 413
