"""Raw fills of a day into the rows of `compacted.fills`, by merging what is sorted already."""
