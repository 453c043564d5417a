# The lab, behind one menu: `make help`. Everything is done by the lab program (ansible/lab), which runs on the host's
# bare python3 and installs whatever else is needed. Values reach it through the environment, unexpanded, so that
# CMD='for i in $(seq 3); do …' arrives as it was typed.

OPTIONS := LAB PROVIDER DRIVER WORKERS INVENTORY NODE DIR CMD IMAGE NAME ARGS
$(foreach option,$(OPTIONS),$(eval export KUBELAB_$(option) = $$(value $(option))))
lab := PYTHONPATH='$(CURDIR)/ansible' python3 -m lab

.DEFAULT_GOAL := help
.PHONY: help up provision down status env ssh off on cut heal client push test vm-test bench lint lock leaks

help: ## this menu
	@$(lab) help

up: ## the lab, from nothing to a running cluster [WORKERS=1..8] [PROVIDER=auto|local|vagrant] [DRIVER=kvm|qemu] [INVENTORY=file]
	@$(lab) up
provision: ## run site.yml on the standing lab, even if nothing changed
	@$(lab) provision
down: ## remove the lab and everything it left on this host
	@$(lab) down
status: ## the machines, the nodes and the ranges of the lab
	@$(lab) status
env: ## print the KUBECONFIG and PATH lines for your shell: eval "$(make env)"
	@$(lab) env

ssh: ## a shell on a machine, or one command there: NODE=worker-1 [CMD='…']
	@$(lab) ssh
off: ## cut the power: NODE=worker-1 or NODE=worker-1,worker-2 (at the same moment)
	@$(lab) off
on: ## power on again: NODE=worker-1[,…]
	@$(lab) on
cut: ## cut machines from the network: NODE=worker-1[,…] [DIR=in|out|both]
	@$(lab) cut
heal: ## join them to the network again: NODE=worker-1[,…]
	@$(lab) heal
client: ## run a command on a machine outside the cluster, as the public would: CMD='curl http://…'
	@$(lab) client
push: ## put an image into the lab's registry: IMAGE=archive.tar, =folder or =name-upstream [NAME=name:tag]
	@$(lab) push

test: ## everything: checks, unit and integration tests, then a lab of its own for testinfra and end-to-end tests
	@$(lab) test
vm-test: ## the Vagrantfile proved with real virtual machines, emulated where there is no KVM: a master and a worker that runs a pod
	@$(lab) vm-test
bench: ## measure the standing lab beside Kubernetes' figures [ARGS="footprint api pods failover"]
	@$(lab) bench
lint: ## formatting, types, import contracts, roles
	@$(lab) lint
lock: ## renew requirements/*.lock from pyproject.toml
	@$(lab) lock
leaks: ## what of the lab is on this host (after `make down`: nothing)
	@$(lab) leaks
