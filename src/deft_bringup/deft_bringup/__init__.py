"""Configuration, the composed graph and the deft command."""
