"""How busy is it? Each engine's own way of saying so, read into one report."""
