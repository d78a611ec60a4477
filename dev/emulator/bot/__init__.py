"""The Bot Framework as a bot of Microsoft Teams meets it: the tokens it signs, activities, and where to answer them.

Whose token an answer brings it is told; of HTTP only `routes.py` knows.
"""
