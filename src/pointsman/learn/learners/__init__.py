"""What learns: closed forms over blocks of features."""
