"""Reports: pages of HTML and their figures."""
