"""Error codes of deft_msgs FitPolicy that speak of bags, for the ROS-free core. A contract test keeps them equal."""

BAD_BAG = 804
