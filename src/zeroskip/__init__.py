"""zeroskip: run a sparse layer, and charge for it, from one line of Einsum."""
