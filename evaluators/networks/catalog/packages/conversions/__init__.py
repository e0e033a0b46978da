"""Conversions: one file for each format; by_name.py has them all."""
