"""A service's spec: `facts` that others ask about it, `validation` and the columns of `printing`."""
