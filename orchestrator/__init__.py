"""Search: the only package that knows Ray, tables, files and time."""
