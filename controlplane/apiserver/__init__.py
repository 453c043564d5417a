"""The API server: the only door to the store.

A thin ASGI shell (`asgi.py`) under uvicorn takes every request through the gate (`gate.py`: who, may they) and
then calls the Flask app (`app.py`) for requests or a coroutine (`watch.py`, `logs.py`) for streams. Everything
about a kind comes from its registry entry (`registry.py`, `resources/`). Start in `controlplane/README.md`.
"""
