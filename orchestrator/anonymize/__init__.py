"""Anonymize pictures, folders and videos: faces found, cut out, anonymized and put back where they were."""
