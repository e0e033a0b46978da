"""What a panel measures of one configuration."""
