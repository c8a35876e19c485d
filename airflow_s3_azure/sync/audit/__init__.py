"""Audits: a container compared with what its ledgers, or the records on its blobs, say of it. S3 is not needed.

``audited_runs`` finds the ledgers, ``expectations`` reads what they say, ``findings`` compares it with the listing, and
``auditor`` does all of it and writes the audit's own ledger.
"""
