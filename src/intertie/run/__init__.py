"""Reconcile what is wanted with what is observed; the provider's reclaim; the fake engine's timing.

Reads leases and observations; returns what should change. First believe, then act: everything
here may be repeated.
"""
