"""Servicers: convert protobuf messages to requests of the use cases, and results back. One module for each
service.
"""
