"""The commands of ``tale``: one file and one public function for each.

A command imports rooms, whose names are loaded when they are used, so that its help needs no JAX.
"""
