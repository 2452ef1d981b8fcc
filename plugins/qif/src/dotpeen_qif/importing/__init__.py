"""Import: plans and results that other systems wrote become records of the MES, or are found to be there already."""
