"""Other client formats to OpenAI's and back."""
