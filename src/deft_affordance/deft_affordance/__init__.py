"""Where and how to grasp: affordance priors behind one predictor interface."""
