"""Running an operator's command on an answer where it can do no harm: a helper process, and a cage around each check."""
