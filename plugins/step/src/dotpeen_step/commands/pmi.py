"""`dotpeen step pmi`: the dimensions, tolerances and datums of a STEP file."""

from __future__ import annotations

from typing import Annotated

import typer

from dotpeen.cli.context import JsonOption, current
from dotpeen_step.commands.files import FileArgument

AllOption = Annotated[bool, typer.Option("--all", help="Every row, not only the first two hundred.")]


def pmi(
    context: typer.Context, file: FileArgument, *, everything: AllOption = False, as_json: JsonOption = False
) -> None:
    """List the semantic PMI of a STEP file: dimensions, geometric tolerances and datums, with values and UUIDs.

    PMI that is only drawn has no values and is not listed. Nothing is written anywhere. Ends with 0, also when there
    is none, and with 2 when the file can't be read.

    Example: `dotpeen step pmi bracket.stp --json`
    """
    from dotpeen_step.inspection import inspect  # what isn't needed to list commands
    from dotpeen_step.inspection.pmi.report import counted, pmi_counts, pmi_document, print_pmi

    shared = current(context)
    inspection = inspect(file)
    products = {product.product_ref: product for product in inspection.products}
    if as_json:
        shared.print_json(
            {
                "file": inspection.file,
                "sha256": inspection.sha256,
                "counts": pmi_counts(inspection.pmi),
                "pmi": [pmi_document(one, products) for one in inspection.pmi],
            }
        )
        return
    if inspection.pmi:
        print_pmi(inspection.pmi, products, shared.out, everything=everything)
    said = f"{inspection.file}: {counted(inspection.pmi)}"
    shared.out.print(said, markup=False, highlight=False, soft_wrap=True)
