"""The same prompts as text, for language models."""
