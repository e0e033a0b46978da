"""Sampling: what a sampler is shown of a long sweep, and what is drawn without one."""
