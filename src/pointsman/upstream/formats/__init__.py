"""Wire formats: how a reply of one family is read."""
