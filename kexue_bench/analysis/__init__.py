"""What it means: from outcomes to tables, verdicts and reproductions."""
