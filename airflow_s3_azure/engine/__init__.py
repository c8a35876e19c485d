"""Moves bytes: one object, or many over one bounded pool, from presigned ranges to verified blobs. No Airflow here."""
