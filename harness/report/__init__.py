"""Report: charts and one page, drawn from saved data alone. No model is loaded, and nothing is measured."""
