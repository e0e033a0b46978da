"""Measure a front again, on other faces and with more attackers."""
