"""The Qt application: pages, presenters, item models, and the client of the engine."""
