"""Which CAD revisions a part has: linked from files or by UUID, kept with their history, found again by any UUID."""
