"""The whole contract, as one class to point at a provider."""

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
    """The part of `ProviderContract` that needs the backend: for another generation of it, or another HTTP client."""


class ProviderContract(BackendContract, BadInputContract, DeclarationContract, ErrorContract):
    """Tests of every behaviour that polysession promises, for one provider, with both clients.

    Write a class for the provider in a test module:

    ```python
    from polysession.testing import ProviderContract

    class TestAcme(ProviderContract):
        provider = "acme"
    ```

    That is all for a provider that ships an emulator whose agent follows `polysession.emulation.script_for`. For
    anything else, set the attributes and override the methods of `ContractBase`: `serve` says where the backend is,
    `script` what to say to its agent, `http_client` and `async_http_client` what to send with.

    What the provider declares as supported must work; what it declares as unsupported must be refused before anything
    is sent. Tests of unsupported features are not collected. List the known differences in `gaps`:

    ```python
    class TestAcme(ProviderContract):
        provider = "acme"
        gaps = {
            "test_a_turn_with_thinking": never("acme's agents do not think", raises=AssertionError),
            Feature.SESSIONS_LIST_TITLE_CONTAINS: not_done_here("version 2 can search", raises=MalformedResponse),
        }
    ```

    Such a test must fail, with that error. When it passes, the gap is closed, and the test fails until it is removed.
    """
