"""Train the generator: losses (losses.py), the critic (critic.py), one run (loop.py). Needs nothing but torch."""
