"""What survives the service and what does not: nasty inputs through a real server, an invariant on each."""
