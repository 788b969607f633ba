"""A stand-in for moveit_py: the calls that are documented, and its habit of crashing when it is torn down."""
