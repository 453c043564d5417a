"""The lab program: machines, network, images and the checks around them, behind `make`.

It uses the standard library only, so that it runs on the host's bare python3 before anything is installed. What
needs more (Ansible, pytest, kubectl) runs as a command from the host's virtual environment.
"""
