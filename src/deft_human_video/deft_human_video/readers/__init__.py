"""Readers of published data sets: each yields clips and names what is damaged."""
