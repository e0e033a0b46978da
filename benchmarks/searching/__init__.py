"""Searchers side by side: what is searched, who searches, what it spends."""
