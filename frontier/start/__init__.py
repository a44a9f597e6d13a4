"""A cold start: what it is made of, what predicts it, and what a person's own logs say of it."""
