"""The command line: ``airflow s3-azure``, with the engine, the connections and the checks of the operators.

``definition`` names the commands and their options, and is all that other ``airflow`` commands import. Each command is a module of
its own, imported when it runs.
"""
