"""What is measured, a module each: every one makes an `Outcome` of a `Bench`."""
