"""The sample plant: a believable MES database and the load that keeps it busy."""
