"""Studies of the method on the simulated robot, without ROS: the tables and curves of the paper."""
