"""What the report shows of one configuration that is selected, by a bound or a click."""
