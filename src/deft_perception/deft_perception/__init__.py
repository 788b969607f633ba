"""Synchronised observation, tabletop segmentation and projection to the base frame."""
