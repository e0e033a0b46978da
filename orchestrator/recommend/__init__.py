"""Choose the configuration that is best among those that keep a bound, and write it down to be applied."""
