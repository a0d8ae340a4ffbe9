"""uvicorn's protocols, protected against slow clients."""
