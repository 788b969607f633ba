"""Error codes of deft_msgs FitPolicy, PredictResidual and Rollout, for the ROS-free core. A contract test keeps them equal."""

# of FitPolicy
BAD_GOAL = 801
TOO_FEW = 802
NOT_FINITE = 803

# of PredictResidual
NO_POLICY = 851
BAD_INPUT = 852
REFUSED = 853

# of Rollout
ROLLOUT_BAD_GOAL = 901
ROLLOUT_INFEASIBLE = 903
ROLLOUT_FAILED = 904
ROLLOUT_BUSY = 905
