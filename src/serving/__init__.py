"""The replay service: finished tables of the lake, second by second, over HTTP and WebSocket (spec 9)."""
