"""Turn (original, anonymized) into numbers: attackers, the readers of the expression, realism."""
