"""The scenarios, one module each: each measures the engines of a `Bench` and returns an `Outcome`."""
