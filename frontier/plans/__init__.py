"""Plans: families, what a person chose, and the grid worth comparing."""
