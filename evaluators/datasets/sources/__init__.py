"""Sources of pictures: folders, tables, archives, opened and listed."""
