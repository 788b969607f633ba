"""MuJoCo stand-in for the robot, its camera and its operator, on the robot's own topics."""
