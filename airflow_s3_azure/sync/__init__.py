"""Decides what to move: list source and destination, select, name, compare, batch, and write down what became of it.

No Airflow here.
"""
