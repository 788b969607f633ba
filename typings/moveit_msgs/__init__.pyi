"""The parts of moveit_msgs (branch ros2) that DEFT uses, for type checking where it is not installed."""
