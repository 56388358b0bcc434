"""Mesh, logical axis rules, attention kernels and rematerialisation. Knows no model."""
