"""Bags of sessions as data sets of other tools."""
