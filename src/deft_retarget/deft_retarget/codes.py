"""Error codes of deft_msgs/srv/RetargetHand, for the ROS-free core (a contract test keeps them equal)."""

BAD_INPUT = 301
NOT_CONVERGED = 302
