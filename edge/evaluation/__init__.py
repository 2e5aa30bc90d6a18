"""How good it is, beside yardsticks: `linewatch evaluate`, on recordings and on whole data sets."""
