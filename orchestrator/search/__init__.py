"""The main program: from options to a results folder."""
