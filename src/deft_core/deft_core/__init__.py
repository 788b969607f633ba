"""Shared value types, configuration loading, QoS profiles and message conversions of DEFT."""
