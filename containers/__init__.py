"""The whole pipeline in containers: `python -m containers env | up | down`.

It needs Docker with Compose, and Python without any package. ``inside`` holds what runs in the containers.
"""
