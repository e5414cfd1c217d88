"""The Hub: search, look, judge, fetch and publish, without torch."""
