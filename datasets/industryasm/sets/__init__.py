"""Importers of public data sets, each from the published folder as it lies."""
