"""MoveIt as the arm's planner, over move_group's services or moveit_py; what it answers is checked before it is believed."""
