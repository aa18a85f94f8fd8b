"""Servicers: convert protobuf messages to requests of the use cases, and results back to messages. One module for each
gRPC service.
"""
