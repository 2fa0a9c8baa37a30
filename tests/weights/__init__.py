"""Weights as others have them: every row of the table, both ways."""
