"""What messages cost, and the calendar by which they are billed and posted.

    london_days    days and financial years in London
    letter_days    print runs, postage and bank holidays
    prices         the cost of a message by the rates of its day
    bill_lines     SQL of the lines of bills, by day

Imports `content` and the vocabulary (`enums`) only; runs no statement itself.
"""
