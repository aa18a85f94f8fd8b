"""protobuf to domain and back, nothing else: one module for each service, and what they check alike."""
