"""Error codes of deft_msgs/srv/PredictAffordance, for the ROS-free core (a contract test keeps them equal)."""

BAD_OBSERVATION = 201
NO_CONTACT_DEPTH = 202
