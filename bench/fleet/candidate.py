"""`pointsman` with the candidate balancer in the place of `prefix`: compared over HTTP, too."""

from candidates import Hashed

from pointsman.cli.main import main
from pointsman.pools.balancers import choice

choice.BALANCERS["prefix"] = Hashed
main()
