"""Which tier? Stages, pipeline and policy: synchronous, pure, replayable."""
