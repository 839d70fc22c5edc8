"""Every stage of a layer, printed, and which kernel a call runs."""
