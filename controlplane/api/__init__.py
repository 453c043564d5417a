"""What an API object is: types, quantities, selectors, names, patches, errors. Imports nothing else of ours."""
