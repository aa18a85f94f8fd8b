"""The gRPC front: server, interceptor, authentication and servicers. The only package that imports grpc and
protobuf.
"""
