"""Two families of a third party: one that only trains, one whose tasks measure what they build."""
