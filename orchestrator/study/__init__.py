"""Ask people what they see: a page for participants, and tables of their answers."""
