"""Grasp planning and execution behind one safety gate."""
