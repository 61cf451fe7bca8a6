"""The whole contract as one class, to use with any provider."""

from __future__ import annotations

from polysession.testing.actions import ActionContract
from polysession.testing.agents import AgentContract
from polysession.testing.bad_input import BadInputContract
from polysession.testing.declarations import DeclarationContract
from polysession.testing.errors import ErrorContract
from polysession.testing.lifetimes import LifetimeContract
from polysession.testing.lists import ListContract
from polysession.testing.owners import OwnerContract
from polysession.testing.page_answers import PageAnswerContract
from polysession.testing.resources import ResourceContract
from polysession.testing.sessions import SessionContract
from polysession.testing.streams import StreamContract
from polysession.testing.turn_faults import TurnFaultContract
from polysession.testing.turn_lives import TurnLifeContract
from polysession.testing.turns import TurnContract
from polysession.testing.two_clients import TwoClientsContract
from polysession.testing.updates import UpdateContract


class BackendContract(
    SessionContract,
    UpdateContract,
    ListContract,
    AgentContract,
    ResourceContract,
    TurnContract,
    ActionContract,
    StreamContract,
    TurnFaultContract,
    TurnLifeContract,
    TwoClientsContract,
    OwnerContract,
    PageAnswerContract,
    LifetimeContract,
):
    """The part of `ProviderContract` that needs the backend: use it for another generation or another HTTP client."""


class ProviderContract(BackendContract, BadInputContract, DeclarationContract, ErrorContract):
    """Tests of every documented behaviour of polysession, for one provider, with both clients.

    Write a class for the provider in a test module:

    ```python
    from polysession.testing import ProviderContract

    class TestAcme(ProviderContract):
        provider = "acme"
    ```

    This is enough for a provider with an emulator whose agent follows `polysession.emulation.script_for`. Otherwise set
    the attributes and override the methods of `ContractBase`: `serve` provides the backend, `script` the messages for
    its agent, `http_client` and `async_http_client` the HTTP clients.

    A feature that the provider declares as supported must work; an unsupported feature must be refused before anything
    is sent. Tests of unsupported features are not collected. List the known differences in `gaps`:

    ```python
    class TestAcme(ProviderContract):
        provider = "acme"
        gaps = {
            "test_a_turn_with_thinking": never("acme's agents do not think", raises=AssertionError),
            Feature.SESSIONS_LIST_TITLE_CONTAINS: not_done_here("version 2 can search", raises=MalformedResponse),
        }
    ```

    Such a test must fail with the given error. If it passes, the gap is closed: the test then fails until you remove
    the gap.
    """
