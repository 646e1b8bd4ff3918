"""One module per kind of saved result. Each has a `KIND`, and is found by its being here."""
