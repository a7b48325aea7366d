"""Environments of many kinds, as people write them: nothing here knows of orwd."""

from openreward.environments import Server

from chat import Dialogue
from faulty import Faulty
from final import Essay, Verdict
from images import Canvas
from late import Late
from nested import Orders
from packages import Packages
from parallel import Workers
from procedural import Digits, Sums
from randomised import Dice
from simulation import Thermostat
from storage import Ledger
from tables import Capitals, Cities, Lookup
from workshop import Workshop

if __name__ == "__main__":
    Server(
        [
            Thermostat, Sums, Digits, Capitals, Cities, Lookup, Ledger, Orders, Workers, Workshop, Canvas, Essay,
            Verdict, Dialogue, Faulty, Dice, Late, Packages,
        ]
    ).run()  # fmt: skip
