"""The transparency log: Merkle trees (RFC 6962), and its head as a C2SP checkpoint. Pure."""
