"""What a user asks for: the model, the problem, and how it is compiled."""
