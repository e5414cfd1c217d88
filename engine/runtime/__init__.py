"""The torch processes: one for each base and device, and one for speech."""
