"""Error codes of deft_msgs/srv/Observe, for the ROS-free core (a contract test keeps them equal)."""

CAMERA_STALE = 101
NO_TABLE = 102
NO_OBJECT = 103
NO_DEPTH = 104
BAD_INPUT = 105
AMBIGUOUS = 106
CAMERA_FROZEN = 107
CLOCK_JUMP = 108
BACKEND_FAILED = 109
