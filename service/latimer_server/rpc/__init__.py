"""The gRPC front end: server, calls and their limits, authentication and servicers.

The only package that imports grpc and protobuf.
"""
