"""The benchmark: ours against SQL written by hand and against PostGraphile, on the same data and the same cores.

`databases` makes the data, `questions` says what is asked of each server, `servers` runs them, `answers` sees that all
answer the same, `loads` asks, `measures` reads what it cost, `runs` takes turns, `tables` and `pictures` tell.
"""
