"""The demo: a real nightly sync on this machine, from two filled buckets to a proof that every blob is right.

`python -m demo` starts an S3 server, Azurite and Airflow, fills two buckets, runs the nightly DAG through Airflow's
API, reads every object and blob again and compares them, runs the DAG once more to show that nothing moves, and stops
everything. Of `airflow_s3_azure` it imports nothing: it sees the package as Airflow's users do.
"""
