"""The web console: the network, its offers, jobs, receipts and ledger in a browser.

It reads only what the SDK returns for the signed-in token, and shows it in Chinese or English with
a unit in every header. It must not open the store, import a decision or know a rule.
"""
