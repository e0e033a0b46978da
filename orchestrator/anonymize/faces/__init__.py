"""The faces of one picture: found, cut out, anonymized, put back."""
