lab = PYTHONPATH=ansible python3 -m lab
up: ; @$(lab) up --provider '$(PROVIDER)' --workers '$(WORKERS)'
down: ; @$(lab) down
