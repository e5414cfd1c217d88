"""The ranks page: one adapter, every rank, live."""
