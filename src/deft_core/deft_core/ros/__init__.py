"""The part of deft_core that needs ROS 2: QoS profiles, message conversions, node plumbing."""
