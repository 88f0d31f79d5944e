"""Language: data and what is asked of them."""
