"""`make bench`: what the running lab costs and how fast it is, beside Kubernetes' own figures. Never a test."""
