"""Several processes as one router: a supervisor that keeps house, workers that serve."""
