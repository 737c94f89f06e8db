"""Fakes and simulators that ship: a scripted model server, a simulated fleet, factories, a clock."""
