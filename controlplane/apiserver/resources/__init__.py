"""One file per served resource; `ALL` is the registry. A new resource is one new file here."""
