"""Attackers who work on pictures: they undo, restore, or adapt what looks at them."""
