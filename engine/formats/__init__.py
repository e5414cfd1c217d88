"""Readers and writers of what lies on disk, without torch."""
