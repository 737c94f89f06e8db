"""The path of one request: decide, dispatch, verify, remember. Knows no HTTP."""
