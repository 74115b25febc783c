"""Whether a score says what a demonstration teaches: drives of known quality, and policies that learn from them."""
