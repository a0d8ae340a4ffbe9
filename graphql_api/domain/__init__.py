"""The rules: a file per noun, plain functions `(tx, actor, *, ...) -> row` that check everything, then write."""
