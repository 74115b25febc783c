"""What a hub gives out of its data sets: released versions, by the calls of Hugging Face, and archives."""
