"""Networks: their roles, how they are loaded, asked and inspected."""
