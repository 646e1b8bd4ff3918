"""One module per subject of a chart; each function takes saved data and returns a drawn `Chart`."""
