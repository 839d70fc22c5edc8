"""``zeroskip`` in a shell."""
