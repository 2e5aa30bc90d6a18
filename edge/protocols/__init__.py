"""How deviations are judged on public sets: `linewatch evaluate deviations --protocol NAME`."""
