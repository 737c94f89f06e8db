"""`pointsman` with the candidate balancer in the place of `prefix`: measured over HTTP before it may serve."""

from candidates import Beginnings

from pointsman.cli.main import main
from pointsman.pools.balancers import choice

choice.BALANCERS["prefix"] = Beginnings
main()
