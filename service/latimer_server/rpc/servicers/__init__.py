"""Servicers: convert protobuf requests to requests of the use cases, and results back to protobuf messages.

There is one module for each gRPC service.
"""
