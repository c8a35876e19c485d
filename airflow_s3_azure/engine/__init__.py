"""Copies objects to verified blobs: one, or many over one bounded pool of workers. No Airflow here."""
