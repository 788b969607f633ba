"""The operator's panel as a web page, for the tablet beside the robot."""
