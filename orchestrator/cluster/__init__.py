"""Machines: panels on Ray, whether they fit together, what is told of them."""
