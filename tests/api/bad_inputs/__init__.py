"""The table of bad inputs and the cases that make its rows, one file for each kind of endpoint."""
