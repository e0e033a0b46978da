"""Videos: faces found in every frame, followed, covered also where they were missed, frame times and sound kept."""
