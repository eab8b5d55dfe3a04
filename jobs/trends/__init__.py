"""The numbers behind the pages of trends: each is asked of the store and answered as a frozen record.

They read counts (`buckets`, `facets`), hours that were read, and alerts; posts only for new terms. docs/trends.md has
the formula of each.
"""
