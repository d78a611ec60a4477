"""Says of `infra/` what can be said without a subscription, a compiler or a network.

`templates.py` reads the Bicep files, `properties.py` knows what a resource may hold, `wiring.py` and `rules.py` say
what is wrong. `known.json` is what `models.py` takes from Azure's own management libraries, which are installed for
that alone. Nothing here is deployed.
"""
