"""The task group of a sync, through Airflow's own task runner, against the S3 server and Azurite."""
