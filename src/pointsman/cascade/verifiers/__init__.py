"""One verifier a file: pure readers of a request and its answer."""
