"""The whole pipeline in containers: what `make stack` does beside docker-compose.yaml and Dockerfile.

It needs Docker with Compose, and Python without any package. ``image`` holds what the image runs beside Airflow.
"""
