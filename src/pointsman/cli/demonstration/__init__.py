"""What `pointsman demo` shows: a fleet, a crowd of prompts, a client, and the bill."""
