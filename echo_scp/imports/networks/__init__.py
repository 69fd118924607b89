"""The published architectures as torch modules whose parameters have the published names. Needs torch."""
