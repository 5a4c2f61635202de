"""Control's services, each over what it needs of the others. Level 5."""

from switchgear.control.access import Access
from switchgear.control.config import Config
from switchgear.control.credentials import Credentials
from switchgear.control.freezes import Freezes
from switchgear.control.handle import Control
from switchgear.control.history import History
from switchgear.control.keys import Keys
from switchgear.control.ledger import Ledger
from switchgear.control.models import Models
from switchgear.control.observers import ChangedKeys
from switchgear.control.prices import PriceBook
from switchgear.control.publication import Publication
from switchgear.control.refusals import Refusals
from switchgear.control.stops import Stops
from switchgear.control.traffic import Traffic
from switchgear.core import problems
from switchgear.pricing.catalog import Load


class Services:
    """What administrators can do, by what it is about."""

    def __init__(self, control: Control, prices: PriceBook, load_prices: Load, price_snapshot: str) -> None:
        """`load_prices` reads the shipped prices, `price_snapshot` is their date."""
        self.control = control
        self.prices = prices
        self.refusals = Refusals(control.clock)
        self.traffic = Traffic(frozenset(case.code for case in problems.CASES), control.clock)
        self.changed_keys = ChangedKeys()
        self.stops = Stops(control)
        self.publication = Publication(control, self.stops, prices, load_prices, price_snapshot)
        self.history = History(control, self.publication)
        self.config = Config(control, self.stops, self.publication, self.history)
        self.keys = Keys(control, self.stops, self.publication)
        self.credentials = Credentials(control, self.publication, self.history, self.refusals)
        self.models = Models(control, self.publication, self.history, self.keys)
        self.freezes = Freezes(control, self.stops, self.publication)
        self.access = Access(control)
        self.ledger = Ledger(control, prices)
