"""What a start is made of, what predicts it, and what a person's own logs say of it."""
