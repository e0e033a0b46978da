"""Networks of the generative methods, written anew so that the published weights load strictly."""
