"""The documentation site's own parts; mkdocs.yml names them."""
