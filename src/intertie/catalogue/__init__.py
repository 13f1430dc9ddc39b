"""The one reader of packaged data: devices, profiles, fitted numbers and texts.

It reads the files that ship with the package and hands them on as checked values, so that the
pure rooms open no file. Texts for refusals and pages live here in each language, under one key. It
must not decide, and it must not read anything that an operator can change at run time.
"""
