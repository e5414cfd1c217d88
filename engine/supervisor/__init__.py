"""The torch-free process: server, store, library, job queue, runtime processes, doctor."""
