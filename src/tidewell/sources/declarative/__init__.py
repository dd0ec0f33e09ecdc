"""Declarative connectors: a manifest in Airbyte's low-code language, run in-process as a source.

`airbyte-cdk` (the extra `tidewell[saas]`) interprets the manifest; reading, egress rules, retries,
types and errors are ours. It is heavy, so nothing here imports it before a source is opened:

    driver.py    a connector as a driver: its keys, its manifest, how it is opened
    keys.py      a connector's spec as connection keys, and a connection's values as its config
    trust.py     what a manifest that a customer wrote may not hold
    installed.py connectors of installed packages and of the operator's folder
    source.py    the source                             ┐
    streams.py   a manifest's streams, built by the CDK │ these need the extra
    http.py      every request of the CDK               ┘
    reading.py   records from several partitions at a time
    types.py     JSON schema in Arrow, and records as columns
"""
