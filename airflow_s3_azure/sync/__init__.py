"""Decides what to move: list both sides, select, name, compare, batch, and write down what became of it.

No Airflow here.
"""
