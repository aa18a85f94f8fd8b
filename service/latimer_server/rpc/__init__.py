"""The gRPC front end: server, interceptor, authentication and servicers. The only package that imports grpc and
protobuf.
"""
