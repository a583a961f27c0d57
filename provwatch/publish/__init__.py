"""Make packages, or send their descriptions."""
