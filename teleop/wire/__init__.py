"""What is said between operator, hub and host, byte for byte: commands, states, frames, and the control plane."""
