"""The forms of the shipped DAGs: which choices they offer."""

from __future__ import annotations

from airflow_s3_azure.forms import history_form


def test_the_history_form_offers_what_becomes_of_archived_objects() -> None:
    """Skipped by default; a restore has its tier and price."""
    form = history_form()

    archived, tier, price = (form.params[name] for name in ("archived", "restore_tier", "restore_price_per_gib"))
    assert (archived.value, archived.schema["enum"]) == ("skip", ["skip", "restore", "fail"])
    assert (tier.value, tier.schema["enum"]) == ("Bulk", ["Bulk", "Standard", "Expedited"])
    assert (price.value, price.schema["minimum"]) == (None, 0)
    assert {"archived", "restore_tier", "restore_price_per_gib"} <= form.arguments.keys()


def test_the_history_form_takes_a_list_of_keys() -> None:
    """None by default; the sync gets it as ``keys``."""
    form = history_form()

    keys = form.params["s3_keys"]
    assert (keys.value, keys.schema["type"]) == (None, ["null", "array"])
    assert "params.s3_keys" in form.arguments["keys"]
    assert "s3_keys" not in form.arguments
