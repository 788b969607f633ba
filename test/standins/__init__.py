"""Stand-ins for software of a robot that does not come as wheels: real publishers, services and actions that behave as its
sources say, traps included."""
