"""Parts of the scripts that ask questions across the papers."""
